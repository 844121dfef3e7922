#include "platform/http/static_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <unordered_map>
#include <utility>

#include "platform/base/hash.h"
#include "platform/http/coding/encoded_forms.h"
#include "platform/http/problem.h"

namespace starling::http {
namespace {

constexpr std::pair<std::string_view, std::string_view> kContentTypes[] = {
    {"html", "text/html; charset=utf-8"},
    {"js", "text/javascript; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"json", "application/json"},
    {"map", "application/json"},
    {"webmanifest", "application/manifest+json"},
    {"svg", "image/svg+xml"},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"webp", "image/webp"},
    {"avif", "image/avif"},
    {"gif", "image/gif"},
    {"ico", "image/x-icon"},
    {"txt", "text/plain; charset=utf-8"},
    {"md", "text/markdown; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"xml", "application/xml"},
    {"pdf", "application/pdf"},
    {"wasm", "application/wasm"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"yaml", "application/yaml"},
    {"proto", "text/plain; charset=utf-8"},
};

std::string_view Extension(std::string_view name) {
  const size_t slash = name.rfind('/');
  const std::string_view base = slash == std::string_view::npos ? name : name.substr(slash + 1);
  const size_t dot = base.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : base.substr(dot + 1);
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  FileDescriptor(FileDescriptor&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~FileDescriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const { return descriptor_; }
  bool ok() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

// The file's name from the request, or nullopt for one that no file has.
std::optional<std::string> FileName(const Exchange& exchange, const StaticFilesOptions& options) {
  std::string name(exchange.parameters.Find("file").value_or(""));
  if (name.empty() || name.back() == '/') name += options.index;
  std::string_view rest = name;
  while (true) {
    const size_t slash = rest.find('/');
    const std::string_view segment = rest.substr(0, slash);
    // "." and "..", hidden files, and what is a separator to somebody.
    if (segment.empty() || segment[0] == '.' || segment.find('\\') != std::string_view::npos ||
        segment.find("%2F") != std::string_view::npos) {
      return std::nullopt;
    }
    if (slash == std::string_view::npos) return name;
    rest.remove_prefix(slash + 1);
  }
}

bool MatchesEtag(std::string_view if_none_match, std::string_view etag) {
  while (!if_none_match.empty()) {
    const size_t comma = std::min(if_none_match.find(','), if_none_match.size());
    std::string_view candidate = if_none_match.substr(0, comma);
    while (!candidate.empty() && (candidate.front() == ' ' || candidate.front() == '\t'))
      candidate.remove_prefix(1);
    while (!candidate.empty() && (candidate.back() == ' ' || candidate.back() == '\t'))
      candidate.remove_suffix(1);
    if (candidate.starts_with("W/"))
      candidate.remove_prefix(2);  // compared weakly (RFC 9110, 13.1.2)
    if (candidate == etag || candidate == "*") return true;
    if_none_match.remove_prefix(std::min(comma + 1, if_none_match.size()));
  }
  return false;
}

void NotThere(Exchange& exchange) {
  exchange.response = ProblemResponse(NotFound("there is no file at '{}'", exchange.request.path),
                                      exchange.request.path);
}

// Fills in all but the body; true when the body is wanted too.
bool FillHead(Exchange& exchange, const StaticFilesOptions& options, std::string_view name,
              std::string_view etag) {
  Response& response = exchange.response;
  response.headers.Set("ETag", etag);
  response.headers.Set("Cache-Control", options.cache_control);
  const std::string if_none_match = exchange.request.headers.Joined("if-none-match");
  if (MatchesEtag(if_none_match, etag)) {
    response.status = 304;
    return false;
  }
  response.headers.Set("Content-Type", ContentType(name));
  response.headers.Set("X-Content-Type-Options", "nosniff");
  return true;
}

struct Loaded {
  std::string etag;
  std::string content;
};

// One step at a time, never through a symbolic link, so the result is inside the folder whatever is
// done to it meanwhile.
FileDescriptor OpenBeneath(int folder, const std::string& name) {
  FileDescriptor at(::openat(folder, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  size_t begin = 0;
  while (at.ok()) {
    const size_t slash = name.find('/', begin);
    const std::string segment =
        name.substr(begin, slash == std::string::npos ? slash : slash - begin);
    if (slash == std::string::npos) {
      // NONBLOCK: opening a FIFO must not wait for its writer.
      return FileDescriptor(
          ::openat(at.get(), segment.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    }
    at = FileDescriptor(
        ::openat(at.get(), segment.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    begin = slash + 1;
  }
  return at;
}

StatusOr<Loaded> Load(int folder, const std::string& name, uint64_t max_file_bytes) {
  const FileDescriptor file = OpenBeneath(folder, name);
  struct stat stat {};
  if (!file.ok() || ::fstat(file.get(), &stat) != 0 || !S_ISREG(stat.st_mode))
    return NotFound("no file '{}'", name);
  const auto size = static_cast<uint64_t>(stat.st_size);
  if (size > max_file_bytes)
    return NotFound("file '{}' has {} bytes, above the limit of {}", name, size, max_file_bytes);
  Loaded loaded;
  loaded.content.resize(size);
  size_t done = 0;
  while (done < size) {
    const ssize_t part =
        ::pread(file.get(), loaded.content.data() + done, size - done, static_cast<off_t>(done));
    if (part < 0 && errno == EINTR) continue;
    if (part <= 0) return Unavailable("file '{}' changed while it was read", name);
    done += static_cast<size_t>(part);
  }
  loaded.etag = fmt::format("\"{:016x}\"", Hash64(loaded.content, size));
  return loaded;
}

Task<void> AnswerFromFolder(BlockingPool& pool, int folder, const StaticFilesOptions& options,
                            Exchange& exchange) {
  std::optional<std::string> name = FileName(exchange, options);
  if (!name) {
    NotThere(exchange);
    co_return;
  }
  const auto load = [&] { return Load(folder, *name, options.max_file_bytes); };
  StatusOr<Loaded> loaded = co_await pool.Run(load);
  if (absl::IsNotFound(loaded.status()) && !options.fallback.empty() && Extension(*name).empty()) {
    name = options.fallback;
    loaded = co_await pool.Run(load);
  }
  if (loaded.ok()) {
    if (FillHead(exchange, options, *name, loaded->etag))
      exchange.response.body = std::move(loaded->content);
  } else if (absl::IsNotFound(loaded.status())) {
    NotThere(exchange);
  } else {
    exchange.response = ProblemResponse(loaded.status(), exchange.request.path);
  }
}

struct Embedded {
  StaticFilesOptions options;
  struct File {
    std::string_view content;
    std::string etag;
    std::shared_ptr<EncodedForms> forms;
  };
  std::unordered_map<std::string, File> files;
};

void AnswerEmbedded(const Embedded& embedded, Exchange& exchange) {
  const std::optional<std::string> name = FileName(exchange, embedded.options);
  auto found = name ? embedded.files.find(*name) : embedded.files.end();
  if (found == embedded.files.end() && name && Extension(*name).empty()) {
    found = embedded.files.find(embedded.options.fallback);
  }
  if (found == embedded.files.end()) {
    NotThere(exchange);
  } else if (FillHead(exchange, embedded.options, found->first, found->second.etag)) {
    exchange.response.body = found->second.content;
    exchange.response.forms = found->second.forms;
  }
}

}  // namespace

std::string_view ContentType(std::string_view file_name) {
  const std::string_view extension = Extension(file_name);
  for (const auto& [known, type] : kContentTypes) {
    if (EqualsIgnoreCase(extension, known)) return type;
  }
  return "application/octet-stream";
}

Handler ServeFiles(std::span<const EmbeddedFile> files, StaticFilesOptions options) {
  const auto embedded = std::make_shared<Embedded>();
  embedded->options = std::move(options);
  for (const EmbeddedFile& file : files) {
    embedded->files[std::string(file.name)] = {
        file.content, fmt::format("\"{:016x}\"", Hash64(file.content, file.content.size())),
        std::make_shared<FormsOfFile>()};
  }
  return [embedded](Exchange& exchange) -> Task<void> {
    AnswerEmbedded(*embedded, exchange);
    co_return;
  };
}

StatusOr<Handler> ServeFolder(BlockingPool& pool, std::string_view folder,
                              StaticFilesOptions options) {
  const std::string path(folder);
  auto descriptor =
      std::make_shared<FileDescriptor>(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!descriptor->ok()) {
    return InvalidArgument("'{}' is not a folder to serve files from: {}", path,
                           std::error_code(errno, std::generic_category()).message());
  }
  return Handler(
      [&pool, descriptor, options = std::move(options)](Exchange& exchange) -> Task<void> {
        return AnswerFromFolder(pool, descriptor->get(), options, exchange);
      });
}

}  // namespace starling::http
