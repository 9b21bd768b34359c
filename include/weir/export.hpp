// Symbol visibility of the library. WEIR_SHARED is defined where weir is built or used as a shared library,
// WEIR_BUILDING only while it is built.
#pragma once

#if defined(WEIR_SHARED)
#define WEIR_API __attribute__((visibility("default")))
#else
#define WEIR_API
#endif
