// Blobs: whole files by key, such as models, each written once and read whole or by ranges.
//
//   STARLING_ASSIGN_OR_RETURN(auto store, blob::OpenFolder(folder / "models"));
//   blob::Bytes bytes(model);                                // or FileSource::Open(path)
//   STARLING_RETURN_IF_ERROR(store->Put("recommender/7.model", bytes).status());
//   STARLING_ASSIGN_OR_RETURN(std::string back, store->GetAll("recommender/7.model"));
//
//   std::string after;                                       // every key, page by page
//   do {
//     STARLING_ASSIGN_OR_RETURN(blob::Page page, store->List({.prefix = "recommender/",
//                                                              .after = after}));
//     after = page.next;
//   } while (!after.empty());
//
// For what is too large for a row and is not changed in place. What is looked up by key often and
// is small belongs in platform/storage/kv.
//
// A Put is seen whole or not at all, whatever ends the process or the machine, and is durable when
// it returns. Its SHA-256 is kept with it: Get compares and gives DATA_LOSS for other bytes. Put
// replaces what has the key, unless only_if_absent, by which of several writers one wins.
//
// Keys: 1 to 240 of A-Z a-z 0-9 . _ - and '/', which divides it into parts; a part is not empty and
// does not begin with a dot. No key is the folder of another ("m" beside "m/1"): a folder and
// Amazon keep both, MinIO hides one. A blob has at most 64 GiB, a page at most 1000 entries. Beyond
// is INVALID_ARGUMENT.
//
// Errors: NOT_FOUND no such key; ALREADY_EXISTS by only_if_absent; ABORTED it was replaced while it
// was read; DATA_LOSS its bytes are not those that were put; RESOURCE_EXHAUSTED the disk is full;
// FAILED_PRECONDITION the store refuses us (rights, credentials, no bucket); UNAVAILABLE it does
// not answer.
//
// Thread-safe. Calls block, on a server for as long as it takes within its bounds: not on an io
// thread. Memory: one part (8 MiB) a call, and what GetAll gives.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/status.h"
#include "platform/storage/blob/source.h"

namespace starling::blob {

inline constexpr size_t kMaxKeyBytes = 240;
inline constexpr uint64_t kMaxBlobBytes = uint64_t{64} << 30;
inline constexpr size_t kMaxPageEntries = 1000;

struct About {
  uint64_t size = 0;
  std::string sha256;  // of its bytes, 64 hex digits
  std::string etag;    // another one after every change
};

struct PutOptions {
  bool only_if_absent = false;
};

struct Range {
  uint64_t offset = 0;
  size_t size = 0;        // fewer bytes come at the end, none behind it
  std::string etag = {};  // when given: ABORTED if the blob has another one by now
};

struct ListOptions {
  std::string_view prefix = {};  // empty: all
  std::string_view after = {};   // Page::next of the page before
  size_t limit = 1000;           // 1 to kMaxPageEntries
};

struct Entry {
  std::string key;
  uint64_t size = 0;
  bool operator==(const Entry&) const = default;
};

// Keys in byte order. A page may be short before the end: only an empty `next` is the end.
struct Page {
  std::vector<Entry> entries;
  std::string next;
};

class Store {
 public:
  virtual ~Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  virtual StatusOr<About> Put(std::string_view key, Source& source,
                              const PutOptions& options = {}) = 0;
  virtual StatusOr<About> Head(std::string_view key) = 0;
  // Not compared with the SHA-256, which is of the whole.
  virtual StatusOr<std::string> Read(std::string_view key, const Range& range) = 0;
  // Deleting what is not there is no error.
  virtual Status Delete(std::string_view key) = 0;
  virtual StatusOr<Page> List(const ListOptions& options) = 0;
  // Whether other machines see the same blobs.
  virtual bool IsShared() const = 0;

  // The whole blob in pieces of at most 8 MiB, in order; a status of `take` ends it. What came is
  // right only if the call is OK.
  StatusOr<About> Get(std::string_view key, const std::function<Status(std::string_view)>& take);
  // RESOURCE_EXHAUSTED above `limit`.
  StatusOr<std::string> GetAll(std::string_view key, uint64_t limit = uint64_t{16} << 30);

 protected:
  Store() = default;
};

// The bounds above, as INVALID_ARGUMENT that names what is wrong; for adapters.
Status CheckKey(std::string_view key);
Status CheckSize(uint64_t size);
Status CheckList(const ListOptions& options);

}  // namespace starling::blob
