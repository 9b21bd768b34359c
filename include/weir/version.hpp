// The version of the library, at compile time. CMake reads it from here; it stands nowhere else.
#pragma once

#define WEIR_VERSION_MAJOR 0
#define WEIR_VERSION_MINOR 1
#define WEIR_VERSION_PATCH 0
