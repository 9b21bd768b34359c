// weir: frames through a graph of sources, transforms and sinks, in one loop, in threads, in processes.
#pragma once

#include "weir/app.hpp"
#include "weir/dict.hpp"
#include "weir/element.hpp"
#include "weir/error.hpp"
#include "weir/event.hpp"
#include "weir/frame.hpp"
#include "weir/pad.hpp"
#include "weir/parallelize.hpp"
#include "weir/pipeline.hpp"
#include "weir/queue.hpp"
#include "weir/registry.hpp"
#include "weir/report.hpp"
#include "weir/type.hpp"
#include "weir/version.hpp"
#include "weir/worker.hpp"
#include "weir/worker_context.hpp"
