#include "bench/workload/counters.hpp"

#include <cstdlib>
#include <new>

#include <dlfcn.h>
#include <pthread.h>

namespace {

// relaxed: figures that are read after the threads that count have been joined
void count(std::atomic<std::uint64_t>& events) noexcept {
  if (weir::bench::counting.load(std::memory_order_relaxed)) events.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

#define APART __attribute__((noinline))  // inlined, g++ takes malloc and delete for a mismatch

APART void* operator new(std::size_t bytes) {
  count(weir::bench::allocations);
  if (void* p = std::malloc(bytes)) return p;
  throw std::bad_alloc();
}
APART void* operator new(std::size_t bytes, std::align_val_t alignment) {
  count(weir::bench::allocations);
  const auto unit = static_cast<std::size_t>(alignment);
  if (void* p = std::aligned_alloc(unit, (bytes + unit - 1) / unit * unit)) return p;
  throw std::bad_alloc();
}
APART void operator delete(void* p) noexcept { std::free(p); }
APART void operator delete(void* p, std::size_t) noexcept { std::free(p); }
APART void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
APART void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

// In front of glibc's: what std::mutex calls comes here.
extern "C" int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  using Lock = int (*)(pthread_mutex_t*);
  static const auto lock = reinterpret_cast<Lock>(::dlsym(RTLD_NEXT, "pthread_mutex_lock"));
  count(weir::bench::locks);
  return lock(mutex);
}
