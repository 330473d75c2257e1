// Loaded before everything else when the tests run under the thread sanitizer (Scripts/sanitize).
//
// A Mutex that is contended is locked and unlocked in libswiftSynchronization.so, which the toolchain ships without the
// sanitizer's instruments: what one thread did under the lock then looks like a race to the next, in a program of ten lines
// too. Here these two functions tell the sanitizer what happens. Nothing is suppressed, so real races are still seen.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

// _MutexHandle._lockSlow(UInt32) and _MutexHandle._unlockSlow(), which inlined code of every Mutex calls.
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

// Absent in programs that are not instrumented, such as swift itself.
extern void __tsan_acquire(void *address) __attribute__((weak));
extern void __tsan_release(void *address) __attribute__((weak));

typedef __attribute__((swiftcall)) void Lock(uint32_t thread, __attribute__((swift_context)) void *mutex);
typedef __attribute__((swiftcall)) void Unlock(__attribute__((swift_context)) void *mutex);
Lock lockAndTell __asm__(LOCK);
Unlock unlockAndTell __asm__(UNLOCK);

__attribute__((swiftcall)) void lockAndTell(uint32_t thread, __attribute__((swift_context)) void *mutex) {
  ((Lock *)dlsym(RTLD_NEXT, LOCK))(thread, mutex);
  if (__tsan_acquire) __tsan_acquire(mutex);
}

__attribute__((swiftcall)) void unlockAndTell(__attribute__((swift_context)) void *mutex) {
  if (__tsan_release) __tsan_release(mutex);
  ((Unlock *)dlsym(RTLD_NEXT, UNLOCK))(mutex);
}
