// The binary's side of Parquet: finds the module, loads it once, hands it open files.
#include "platform/tabular/parquet.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <mutex>

#include "platform/tabular/byte_source.h"
#include "platform/tabular/parquet_module.h"
#include "platform/tabular/zip.h"

namespace starling::tabular {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRemedy =
    "run ./dev setup, which installs pyarrow, then configure and build again";

std::vector<fs::path> ModuleCandidates(const std::string& folder) {
  if (!folder.empty()) return {fs::path(folder) / kParquetModuleFile};
  std::error_code error;
  const fs::path binary = fs::read_symlink("/proc/self/exe", error).parent_path();
  return {binary / "lib" / kParquetModuleFile, binary.parent_path() / "lib" / kParquetModuleFile};
}

StatusOr<OpenParquetFunction*> Load(const std::string& folder) {
  std::error_code error;
  std::string module;
  const std::vector<fs::path> candidates = ModuleCandidates(folder);
  for (const fs::path& candidate : candidates) {
    if (module.empty() && fs::exists(candidate, error)) module = candidate.string();
  }
  if (module.empty()) {
    return FailedPrecondition(
        "Parquet cannot be read: this build has no {} in '{}'; {}, or convert the file to CSV",
        kParquetModuleFile, candidates.back().parent_path().string(), kRemedy);
  }
  void* const handle = ::dlopen(module.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* const reason = ::dlerror();  // NOLINT(concurrency-mt-unsafe): a thread's own text
    return FailedPrecondition("Parquet cannot be read: '{}' does not load ({}); {}", module,
                              reason == nullptr ? "no reason given" : reason, kRemedy);
  }
  auto* const interface =
      reinterpret_cast<ParquetInterfaceFunction*>(::dlsym(handle, kParquetInterfaceSymbol));
  auto* const open = reinterpret_cast<OpenParquetFunction*>(::dlsym(handle, kOpenParquetSymbol));
  if (interface == nullptr || open == nullptr || interface() != kParquetInterface) {
    ::dlclose(handle);
    return FailedPrecondition(
        "Parquet cannot be read: '{}' was built for another version of this binary; build again",
        module);
  }
  return open;
}

// Once loaded it stays; what failed is tried again, since its remedy may have come.
StatusOr<OpenParquetFunction*> Loaded(const std::string& folder) {
  static std::mutex mutex;
  static OpenParquetFunction* loaded = nullptr;
  const std::lock_guard lock(mutex);
  if (!folder.empty()) return Load(folder);
  if (loaded == nullptr) {
    STARLING_ASSIGN_OR_RETURN(loaded, Load(folder));
  }
  return loaded;
}

}  // namespace

Status LoadParquet(const std::string& module_folder) { return Loaded(module_folder).status(); }

StatusOr<std::unique_ptr<RowSource>> OpenParquet(std::string_view location,
                                                 const ParquetOptions& options) {
  ParquetRequest request{-1, std::string(location), options};
  if (options.batch_rows < 1 || options.batch_rows > (1 << 20)) {
    return InvalidField("batch_rows", "{} is outside 1 to 1048576", options.batch_rows);
  }
  STARLING_ASSIGN_OR_RETURN(OpenParquetFunction* const open, Loaded(""));
  if (const std::optional<ZipLocation> zip = ParseZipLocation(location)) {
    STARLING_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> member, OpenZipMember(*zip));
    STARLING_ASSIGN_OR_RETURN(request.file, CopyToTemporaryFile(*member));
  } else {
    request.file = ::open(request.name.c_str(), O_RDONLY | O_CLOEXEC);
    if (request.file < 0) return FileStatus(errno, location, "opening");
  }
  StatusOr<std::unique_ptr<RowSource>> source = Internal("the Parquet module gave no answer");
  open(std::move(request), &source);
  return source;
}

}  // namespace starling::tabular
