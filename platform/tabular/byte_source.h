// The bytes of a foreign file, front to back: decompressed, out of an archive, or from memory.
//
//   STARLING_ASSIGN_OR_RETURN(auto bytes, OpenBytes("orders.csv.gz"));          // or plain, or
//   .zst STARLING_ASSIGN_OR_RETURN(bytes, OpenBytes("tables.whl!data/orders.csv"));  // of a zip
//   STARLING_ASSIGN_OR_RETURN(const size_t read, bytes->Read(buffer));          // 0: the end
//
// Compression is told by the first bytes, not by the name: gzip (RFC 1952, several members too)
// and zstd (RFC 8878, several frames too, windows up to 128 MiB).
//
// Memory: the buffer of the caller, and 64 KiB with the decompressor's window (32 KiB for gzip, 8
// MiB and less for what zstd writes without --long). A bomb costs time, never memory.
//
// Errors: NOT_FOUND, PERMISSION_DENIED, UNAVAILABLE (I/O) with the path; DATA_LOSS for compressed
// bytes that are damaged or cut off. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "platform/base/status.h"

namespace starling::tabular {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  // As much as there is, at most `into`; 0 only at the end. Once an error, always an error.
  virtual StatusOr<size_t> Read(std::span<char> into) = 0;
  // Back to the first byte.
  virtual Status Rewind() = 0;
  // Passes `count` bytes, or fewer when the end comes first; gives how many. Reads and drops them
  // where it cannot seek.
  virtual StatusOr<uint64_t> Skip(uint64_t count);

  // Of the file on the disk: how much of it was read, how large it is.
  virtual uint64_t bytes_done() const = 0;
  virtual uint64_t bytes_total() const = 0;
  const std::string& name() const { return name_; }

 protected:
  explicit ByteSource(std::string name) : name_(std::move(name)) {}

 private:
  std::string name_;
};

// A path, or archive!member.
StatusOr<std::unique_ptr<ByteSource>> OpenBytes(std::string_view location);

// What the caller has in memory, which must outlive the source; `name` is for errors. At most
// `most` bytes come with one Read, for tests of what happens at the seams.
std::unique_ptr<ByteSource> BytesOf(std::string_view text, std::string name,
                                    size_t most = SIZE_MAX);

// The file as it is, not decompressed.
StatusOr<std::unique_ptr<ByteSource>> OpenPlainFile(const std::string& path);

// Looks at the first bytes of `inner` and decompresses what they say; gives `inner` itself when
// it is not compressed.
StatusOr<std::unique_ptr<ByteSource>> Decompressed(std::unique_ptr<ByteSource> inner);

// "x.csv: No such file or directory", with the code for errno.
Status FileStatus(int error, std::string_view path, std::string_view doing);

}  // namespace starling::tabular
