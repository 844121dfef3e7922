#include "platform/config/watch.h"

#include <sys/stat.h>

namespace starling::config {

std::string FileSignature(const std::vector<std::string>& paths) {
  std::string signature;
  for (const std::string& path : paths) {
    struct stat about;
    if (::stat(path.c_str(), &about) == 0) {
      signature += fmt::format("{}.{:09} {} {};", about.st_mtim.tv_sec, about.st_mtim.tv_nsec,
                               about.st_size, about.st_ino);
    } else {
      signature += "absent;";
    }
  }
  return signature;
}

Task<void> Watch(Registry& registry, BlockingPool& pool, CancellationToken until,
                 Duration interval) {
  // nullopt: read at the next look. So at the first, since the files may have changed after Load.
  std::optional<std::string> seen;
  while (!until.IsCancelled()) {
    const Status looked = co_await pool.Run([&]() -> Status {
      const std::vector<std::string> files = registry.files();
      std::string signature =
          fmt::format("{} {}", registry.cluster_version(), FileSignature(files));
      if (seen == signature) return OkStatus();
      Status reloaded = registry.Reload().status();
      // Taken before the files were read: a change while they were read is seen at the next look.
      // Other files than before are read once more, for the same reason.
      seen.reset();
      if (registry.files() == files) seen = std::move(signature);
      return reloaded;
    });
    // Reload has told its listeners; a full pool only delays the look.
    (void)looked;
    co_await SleepFor(interval);
  }
}

}  // namespace starling::config
