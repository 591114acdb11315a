/* Preloaded into the program: the moment it has made an unfinished file (NAME.tmp.PID), it gets a SIGINT. Any thread; glibc
 * alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

__attribute__((visibility("default"))) int open64(const char* path, int flags, ...) {
  int (*real)(const char*, int, ...);
  *(void**)&real = dlsym(RTLD_NEXT, "open64");
  va_list more;
  va_start(more, flags);
  const int descriptor = real(path, flags, flags & O_CREAT ? va_arg(more, mode_t) : 0);
  va_end(more);
  if (descriptor >= 0 && (flags & O_EXCL) && strstr(path, ".tmp.")) raise(SIGINT);
  return descriptor;
}
