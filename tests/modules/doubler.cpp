#include "doubler.hpp"

using namespace weir::test;

WEIR_WORKER(Doubler);
