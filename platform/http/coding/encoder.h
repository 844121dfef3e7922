// Compresses a body, whole or in pieces: gzip (RFC 1952, by zlib), br (RFC 7932), zstd (RFC 8878).
//
//   const EncoderLease encoder = EncoderLease::Take(Coding::kZstd, 3);
//   std::string out;
//   encoder->Write(first, Encoder::kFlush, out);     // the client can read all of `first` now
//   encoder->Write(rest, Encoder::kEnd, out);
//
// An encoder takes 0.3 MB (gzip), 1.4 (br) or 1.7 (zstd) at the usual levels while it is held. Each
// thread keeps two of a kind for the next (gzip and zstd; Brotli's cannot be used twice). Not
// thread-safe: it ends on the thread that took it, or is freed on another. Memory that runs out
// stops the process.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "platform/http/coding/accept_encoding.h"

namespace starling::http {

// The lowest and the highest, and what is a good answer to each request. Measured: see
// docs/decisions/026-compression.md.
struct CodingLevels {
  int gzip = 1;  // 1 to 9
  int br = 3;    // 0 to 11
  int zstd = 3;  // 1 to 19

  int Of(Coding coding) const {
    return coding == Coding::kGzip ? gzip : coding == Coding::kBrotli ? br : zstd;
  }
};

class Encoder {
 public:
  enum Flush : uint8_t { kMore, kFlush, kEnd };

  virtual ~Encoder() = default;
  // Appends what there is to send to `out`: after kFlush, all that the client needs to read what
  // was written so far; after kEnd, all, and nothing may be written any more.
  virtual void Write(std::string_view piece, Flush flush, std::string& out) = 0;
  // How long all of it will be, exactly; before the first Write. Takes less memory for a short one.
  virtual void Expect(uint64_t) {}
  // Begins anew. False: it cannot.
  virtual bool Reset() = 0;
};

// An encoder that goes back to its thread's store.
class EncoderLease {
 public:
  EncoderLease() = default;
  // `coding` is not kIdentity; a level out of its range is brought into it.
  static EncoderLease Take(Coding coding, int level);
  EncoderLease(EncoderLease&&) noexcept = default;
  EncoderLease& operator=(EncoderLease&& other) noexcept {
    GiveBack();
    encoder_ = std::move(other.encoder_);
    coding_ = other.coding_;
    level_ = other.level_;
    return *this;
  }
  ~EncoderLease() { GiveBack(); }

  explicit operator bool() const { return encoder_ != nullptr; }
  Encoder* operator->() const { return encoder_.get(); }

 private:
  void GiveBack();

  std::unique_ptr<Encoder> encoder_;
  Coding coding_ = Coding::kIdentity;
  int level_ = 0;
};

// Of a body at once, on this thread: for bodies that are small, and for tests.
std::string Encode(Coding coding, int level, std::string_view body);

}  // namespace starling::http
