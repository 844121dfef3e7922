#include "platform/http/coding/encoder.h"

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <vector>

namespace starling::http {
namespace {

constexpr size_t kRoom = 16 * 1024;  // what `out` grows by
// What a client must hold to read it: 128 KiB for zstd, 256 KiB for br, 32 KiB for gzip.
constexpr int kZstdWindow = 17;
constexpr int kBrotliWindow = 18;
constexpr size_t kKept = 2;  // encoders of a kind, a thread

// Calls step(room, size) until it says that all is out; it gives how much of the room it used.
template <typename Step>
void Fill(std::string& out, Step step) {
  for (bool more = true; more;) {
    const size_t at = out.size();
    out.resize(at + kRoom);
    size_t used = 0;
    more = step(out.data() + at, kRoom, used);
    out.resize(at + used);
  }
}

class GzipEncoder final : public Encoder {
 public:
  explicit GzipEncoder(int level) {
    constexpr int kGzipWindow = 15 + 16;
    if (deflateInit2(&stream_, level, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK)
      throw std::bad_alloc();
  }
  ~GzipEncoder() override { deflateEnd(&stream_); }
  GzipEncoder(const GzipEncoder&) = delete;

  void Write(std::string_view piece, Flush flush, std::string& out) override {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
    stream_.avail_in = static_cast<uInt>(piece.size());
    const int how = flush == kEnd ? Z_FINISH : flush == kFlush ? Z_SYNC_FLUSH : Z_NO_FLUSH;
    Fill(out, [&](char* room, size_t size, size_t& used) {
      stream_.next_out = reinterpret_cast<Bytef*>(room);
      stream_.avail_out = static_cast<uInt>(size);
      const int ended = deflate(&stream_, how);
      used = size - stream_.avail_out;
      return ended == Z_OK && stream_.avail_out == 0;
    });
  }
  bool Reset() override { return deflateReset(&stream_) == Z_OK; }

 private:
  z_stream stream_{};
};

class BrotliEncoder final : public Encoder {
 public:
  explicit BrotliEncoder(int level)
      : state_(BrotliEncoderCreateInstance(nullptr, nullptr, nullptr)) {
    if (state_ == nullptr) throw std::bad_alloc();
    BrotliEncoderSetParameter(state_, BROTLI_PARAM_QUALITY, static_cast<uint32_t>(level));
    BrotliEncoderSetParameter(state_, BROTLI_PARAM_LGWIN, kBrotliWindow);
  }
  ~BrotliEncoder() override { BrotliEncoderDestroyInstance(state_); }
  BrotliEncoder(const BrotliEncoder&) = delete;

  void Write(std::string_view piece, Flush flush, std::string& out) override {
    const BrotliEncoderOperation operation = flush == kEnd     ? BROTLI_OPERATION_FINISH
                                             : flush == kFlush ? BROTLI_OPERATION_FLUSH
                                                               : BROTLI_OPERATION_PROCESS;
    size_t left = piece.size();
    const auto* at = reinterpret_cast<const uint8_t*>(piece.data());
    do {
      size_t no_room = 0;
      if (!BrotliEncoderCompressStream(state_, operation, &left, &at, &no_room, nullptr, nullptr))
        throw std::bad_alloc();
      while (BrotliEncoderHasMoreOutput(state_)) {
        size_t size = 0;
        const uint8_t* bytes = BrotliEncoderTakeOutput(state_, &size);
        out.append(reinterpret_cast<const char*>(bytes), size);
      }
    } while (left > 0 || (flush == kEnd && !BrotliEncoderIsFinished(state_)));
  }
  void Expect(uint64_t size) override {
    BrotliEncoderSetParameter(state_, BROTLI_PARAM_SIZE_HINT,
                              static_cast<uint32_t>(std::min<uint64_t>(size, 1u << 30)));
  }
  bool Reset() override { return false; }

 private:
  BrotliEncoderState* state_;
};

class ZstdEncoder final : public Encoder {
 public:
  explicit ZstdEncoder(int level) : context_(ZSTD_createCCtx()) {
    if (context_ == nullptr) throw std::bad_alloc();
    ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(context_, ZSTD_c_windowLog, kZstdWindow);
    ZSTD_CCtx_setParameter(context_, ZSTD_c_contentSizeFlag, 0);
  }
  ~ZstdEncoder() override { ZSTD_freeCCtx(context_); }
  ZstdEncoder(const ZstdEncoder&) = delete;

  void Write(std::string_view piece, Flush flush, std::string& out) override {
    ZSTD_inBuffer in{piece.data(), piece.size(), 0};
    const ZSTD_EndDirective how = flush == kEnd     ? ZSTD_e_end
                                  : flush == kFlush ? ZSTD_e_flush
                                                    : ZSTD_e_continue;
    Fill(out, [&](char* room, size_t size, size_t& used) {
      ZSTD_outBuffer to{room, size, 0};
      const size_t left = ZSTD_compressStream2(context_, &to, &in, how);
      used = to.pos;
      if (ZSTD_isError(left) != 0) throw std::bad_alloc();
      return flush == kMore ? in.pos < in.size : left > 0;
    });
  }
  void Expect(uint64_t size) override { ZSTD_CCtx_setPledgedSrcSize(context_, size); }
  bool Reset() override {
    return ZSTD_isError(ZSTD_CCtx_reset(context_, ZSTD_reset_session_only)) == 0;
  }

 private:
  ZSTD_CCtx* context_;
};

struct Kept {
  Coding coding;
  int level;
  std::unique_ptr<Encoder> encoder;
};
thread_local std::vector<Kept> kept_encoders;

std::unique_ptr<Encoder> MakeEncoder(Coding coding, int level) {
  switch (coding) {
    case Coding::kGzip:
      return std::make_unique<GzipEncoder>(std::clamp(level, 1, 9));
    case Coding::kBrotli:
      return std::make_unique<BrotliEncoder>(std::clamp(level, 0, 11));
    case Coding::kZstd:
      return std::make_unique<ZstdEncoder>(std::clamp(level, 1, 19));
    case Coding::kIdentity:
      break;
  }
  std::abort();  // only a caller's mistake
}

}  // namespace

EncoderLease EncoderLease::Take(Coding coding, int level) {
  EncoderLease lease;
  lease.coding_ = coding;
  lease.level_ = level;
  for (auto kept = kept_encoders.begin(); kept != kept_encoders.end(); ++kept) {
    if (kept->coding != coding || kept->level != level) continue;
    lease.encoder_ = std::move(kept->encoder);
    kept_encoders.erase(kept);
    return lease;
  }
  lease.encoder_ = MakeEncoder(coding, level);
  return lease;
}

void EncoderLease::GiveBack() {
  if (encoder_ == nullptr) return;
  const auto same = [this](const Kept& kept) { return kept.coding == coding_; };
  const auto many = std::count_if(kept_encoders.begin(), kept_encoders.end(), same);
  std::unique_ptr<Encoder> encoder = std::move(encoder_);
  // One of another level, of a configuration before, is not kept for ever.
  if (many >= static_cast<ptrdiff_t>(kKept)) {
    const auto other = std::find_if(kept_encoders.begin(), kept_encoders.end(),
                                    [&](const Kept& k) { return same(k) && k.level != level_; });
    if (other == kept_encoders.end()) return;
    kept_encoders.erase(other);
  }
  if (encoder->Reset()) kept_encoders.push_back({coding_, level_, std::move(encoder)});
}

std::string Encode(Coding coding, int level, std::string_view body) {
  const EncoderLease encoder = EncoderLease::Take(coding, level);
  encoder->Expect(body.size());
  std::string out;
  encoder->Write(body, Encoder::kEnd, out);
  return out;
}

}  // namespace starling::http
