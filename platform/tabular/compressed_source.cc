// gzip and zstd as ByteSource: 64 KiB of compressed bytes at a time through the library's stream.
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "platform/tabular/byte_source.h"

namespace starling::tabular {
namespace {

constexpr size_t kInputBytes = 64 << 10;
constexpr std::string_view kGzipMagic("\x1f\x8b", 2);
constexpr std::string_view kZstdMagic("\x28\xb5\x2f\xfd", 4);

class CompressedSource : public ByteSource {
 public:
  explicit CompressedSource(std::unique_ptr<ByteSource> inner)
      : ByteSource(inner->name()), inner_(std::move(inner)), buffer_(kInputBytes) {}
  uint64_t bytes_done() const override { return inner_->bytes_done(); }
  uint64_t bytes_total() const override { return inner_->bytes_total(); }

  StatusOr<size_t> Read(std::span<char> into) override {
    STARLING_RETURN_IF_ERROR(failed_);
    StatusOr<size_t> read = Decompress(into);
    if (!read.ok()) failed_ = read.status();
    return read;
  }
  Status Rewind() override {
    STARLING_RETURN_IF_ERROR(inner_->Rewind());
    input_ = {};
    failed_ = OkStatus();
    return Restart();
  }

 protected:
  virtual StatusOr<size_t> Decompress(std::span<char> into) = 0;
  virtual Status Restart() = 0;

  // False at the end of the compressed bytes.
  StatusOr<bool> MoreInput() {
    if (!input_.empty()) return true;
    STARLING_ASSIGN_OR_RETURN(const size_t read, inner_->Read(buffer_));
    input_ = std::span<const char>(buffer_).first(read);
    return read > 0;
  }
  Status Damaged(std::string_view format, std::string_view what) const {
    return DataLoss("'{}' is damaged: its {} data {} before byte {} of {}; get the file again",
                    name(), format, what, inner_->bytes_done(), inner_->bytes_total());
  }

  std::span<const char> input_;  // not decompressed yet

 private:
  std::unique_ptr<ByteSource> inner_;
  std::vector<char> buffer_;
  Status failed_;
};

class GzipSource final : public CompressedSource {
 public:
  using CompressedSource::CompressedSource;
  ~GzipSource() override {
    if (open_) inflateEnd(&stream_);
  }

 private:
  StatusOr<size_t> Decompress(std::span<char> into) override {
    stream_.next_out = reinterpret_cast<Bytef*>(into.data());
    stream_.avail_out = static_cast<uInt>(std::min<size_t>(into.size(), 1 << 30));
    const uInt room = stream_.avail_out;
    while (stream_.avail_out == room && room > 0) {
      STARLING_ASSIGN_OR_RETURN(const bool more, MoreInput());
      if (!more) {
        if (in_member_) return Damaged("gzip", "ends in the middle");
        break;
      }
      if (!in_member_) STARLING_RETURN_IF_ERROR(Restart());
      in_member_ = true;
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input_.data()));
      stream_.avail_in = static_cast<uInt>(input_.size());
      const int result = inflate(&stream_, Z_NO_FLUSH);
      input_ = input_.last(stream_.avail_in);
      if (result == Z_STREAM_END) {
        in_member_ = false;  // another member may follow
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        return Damaged("gzip", stream_.msg != nullptr ? stream_.msg : "cannot be read");
      }
    }
    return room - stream_.avail_out;
  }
  Status Restart() override {
    in_member_ = false;
    // 16: gzip's header and checksum, not zlib's.
    const int result = open_ ? inflateReset(&stream_) : inflateInit2(&stream_, 15 + 16);
    if (result != Z_OK) return ResourceExhausted("no memory to decompress '{}'", name());
    open_ = true;
    return OkStatus();
  }

  z_stream stream_{};
  bool open_ = false;
  bool in_member_ = false;
};

class ZstdSource final : public CompressedSource {
 public:
  using CompressedSource::CompressedSource;

 private:
  StatusOr<size_t> Decompress(std::span<char> into) override {
    if (stream_ == nullptr) STARLING_RETURN_IF_ERROR(Restart());
    ZSTD_outBuffer out{into.data(), into.size(), 0};
    while (out.pos == 0 && out.size > 0) {
      STARLING_ASSIGN_OR_RETURN(const bool more, MoreInput());
      if (!more && !in_frame_) break;
      ZSTD_inBuffer in{input_.data(), input_.size(), 0};
      const size_t result = ZSTD_decompressStream(stream_.get(), &out, &in);
      if (ZSTD_isError(result) != 0) {
        return Damaged("zstd", fmt::format("is refused ({})", ZSTD_getErrorName(result)));
      }
      input_ = input_.subspan(in.pos);
      in_frame_ = result != 0;
      if (!more && in_frame_ && out.pos == 0) return Damaged("zstd", "ends in the middle");
    }
    return out.pos;
  }
  Status Restart() override {
    in_frame_ = false;
    if (stream_ == nullptr) stream_.reset(ZSTD_createDStream());
    if (stream_ == nullptr || ZSTD_isError(ZSTD_initDStream(stream_.get())) != 0 ||
        ZSTD_isError(ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, 27)) != 0) {
      return ResourceExhausted("no memory to decompress '{}'", name());
    }
    return OkStatus();
  }

  struct Free {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
  };
  std::unique_ptr<ZSTD_DStream, Free> stream_;
  bool in_frame_ = false;
};

}  // namespace

StatusOr<std::unique_ptr<ByteSource>> Decompressed(std::unique_ptr<ByteSource> inner) {
  std::array<char, 4> first{};
  size_t have = 0;
  while (have < first.size()) {
    STARLING_ASSIGN_OR_RETURN(const size_t read, inner->Read(std::span(first).subspan(have)));
    if (read == 0) break;
    have += read;
  }
  STARLING_RETURN_IF_ERROR(inner->Rewind());
  const std::string_view magic(first.data(), have);
  if (magic.starts_with(kGzipMagic)) return std::make_unique<GzipSource>(std::move(inner));
  if (magic.starts_with(kZstdMagic)) return std::make_unique<ZstdSource>(std::move(inner));
  return inner;
}

}  // namespace starling::tabular
