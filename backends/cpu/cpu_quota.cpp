// Finds the process's control groups in /proc/self/cgroup and where they are mounted in /proc/self/mountinfo, then reads
// the quota of each group up to the root of its hierarchy. Text from the kernel is read into buffers of fixed size; what
// does not fit or does not parse counts as no limit. Nothing is kept; any thread.
#include "backends/cpu/cpu_quota.h"

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace lt::cpu {
namespace {

constexpr size_t line_bytes = 4096 + 512;

struct File {
  explicit File(const char* path) : handle(std::fopen(path, "re")) {}
  ~File() {
    if (handle != nullptr) std::fclose(handle);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  bool line(char* text) const {
    if (handle == nullptr || std::fgets(text, line_bytes, handle) == nullptr) return false;
    text[std::strcspn(text, "\n")] = '\0';
    return true;
  }
  FILE* handle;
};

bool join(char* path, const char* a, const char* b, const char* c, const char* name) {
  const int length = std::snprintf(path, PATH_MAX, "%s%s%s%s", a, b, c, name);
  return length > 0 && length < PATH_MAX;
}

// True where the comma-separated list has the word.
bool has_word(const char* list, const char* word) {
  const size_t length = std::strlen(word);
  for (const char* at = list; (at = std::strstr(at, word)) != nullptr; at += length)
    if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == '\0')) return true;
  return false;
}

uint32_t whole_cpus(long long quota, long long period) {
  if (quota <= 0 || period <= 0) return 0;
  const long long cpus = quota / period + (quota % period != 0);
  return cpus > INT_MAX ? 0 : static_cast<uint32_t>(cpus);
}

// The quota of one group, whose folder is root + mount + group; 0 where it has none.
uint32_t group_cpus(const char* root, const char* mount, const char* group, bool v2) {
  char path[PATH_MAX], line[line_bytes];
  long long quota = 0, period = 0;
  if (v2) {  // "max 100000" or "150000 100000"
    if (!join(path, root, mount, group, "/cpu.max") || !File(path).line(line)) return 0;
    return std::sscanf(line, "%lld %lld", &quota, &period) == 2 ? whole_cpus(quota, period) : 0;
  }
  if (!join(path, root, mount, group, "/cpu.cfs_quota_us") || !File(path).line(line)) return 0;
  quota = std::atoll(line);  // -1: none
  if (!join(path, root, mount, group, "/cpu.cfs_period_us") || !File(path).line(line)) return 0;
  return whole_cpus(quota, std::atoll(line));
}

uint32_t tighter(uint32_t a, uint32_t b) { return a == 0 || (b != 0 && b < a) ? b : a; }

// Where the hierarchy is mounted: `mount` is the folder, `mount_root` the group that lies there. A line of mountinfo is
// "36 35 98:0 /group /folder options [more] - type source options".
bool find_mount(const char* root, bool v2, char* mount, char* mount_root) {
  char path[PATH_MAX], line[line_bytes];
  if (!join(path, root, "/proc/self/mountinfo", "", "")) return false;
  const File file(path);
  while (file.line(line)) {
    const char* rest = std::strstr(line, " - ");
    char type[64], options[1024];
    if (rest == nullptr || std::sscanf(rest, " - %63s %*s %1023s", type, options) != 2) continue;
    if (v2 ? std::strcmp(type, "cgroup2") != 0 : std::strcmp(type, "cgroup") != 0 || !has_word(options, "cpu")) continue;
    if (std::sscanf(line, "%*s %*s %*s %4095s %4095s", mount_root, mount) == 2) return true;
  }
  return false;
}

// The tightest quota from the group `path` up to the root of the mounted hierarchy.
uint32_t hierarchy_cpus(const char* root, const char* path, bool v2) {
  char mount[PATH_MAX], mount_root[PATH_MAX], group[PATH_MAX];
  if (!find_mount(root, v2, mount, mount_root)) return 0;
  // In a container the group mounted may be the process's own, or an ancestor: what lies above cannot be seen.
  const size_t length = std::strcmp(mount_root, "/") == 0 ? 0 : std::strlen(mount_root);
  const bool inside = std::strncmp(path, mount_root, length) == 0 && (path[length] == '/' || path[length] == '\0');
  if (std::snprintf(group, sizeof(group), "%s", inside ? path + length : "") >= static_cast<int>(sizeof(group))) return 0;
  uint32_t cpus = 0;
  for (;;) {
    if (std::strcmp(group, "/") == 0) group[0] = '\0';
    cpus = tighter(cpus, group_cpus(root, mount, group, v2));
    char* slash = std::strrchr(group, '/');
    if (slash == nullptr) return cpus;
    *slash = '\0';
  }
}

}  // namespace

uint32_t cgroup_cpus(const char* root) {
  char path[PATH_MAX], line[line_bytes];
  if (!join(path, root, "/proc/self/cgroup", "", "")) return 0;
  const File file(path);
  uint32_t cpus = 0;
  while (file.line(line)) {  // "0::/group" (v2) or "4:cpu,cpuacct:/group" (v1)
    char* controllers = std::strchr(line, ':');
    char* group = controllers == nullptr ? nullptr : std::strchr(controllers + 1, ':');
    if (group == nullptr) continue;
    *group++ = '\0';
    const bool v2 = *++controllers == '\0';
    if (v2 || has_word(controllers, "cpu")) cpus = tighter(cpus, hierarchy_cpus(root, group, v2));
  }
  return cpus;
}

}  // namespace lt::cpu
