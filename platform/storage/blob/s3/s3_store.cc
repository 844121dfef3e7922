#include "platform/storage/blob/s3/s3_store.h"

#include <algorithm>
#include <charconv>

#include "platform/base/id.h"
#include "platform/storage/blob/s3/client.h"
#include "platform/storage/blob/s3/xml.h"
#include "platform/storage/blob/sha256.h"

namespace starling::blob {
namespace {

using http::Verb;
using Headers = std::vector<std::pair<std::string, std::string>>;

constexpr char kShaHeader[] = "x-amz-meta-sha256";
constexpr char kPutHeader[] = "x-amz-meta-put";
constexpr uint64_t kMaxParts = 10'000;

std::string Field(const http::ClientResponse& response, std::string_view name) {
  return std::string(response.headers.Find(name).value_or(""));
}

uint64_t Number(std::string_view text) {
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

StatusOr<std::string> Sha256Of(Source& source, uint64_t piece) {
  Sha256 sum;
  for (uint64_t at = 0; at < source.size(); at += piece) {
    const auto size = static_cast<size_t>(std::min(piece, source.size() - at));
    STARLING_ASSIGN_OR_RETURN(const std::string_view bytes, source.Read(at, size));
    sum.Add(bytes);
  }
  return ToHex(sum.Digest());
}

class S3 final : public Store {
 public:
  S3(s3::Options options, Runtime& runtime, const Clock& clock)
      : client_(std::move(options), runtime, clock) {}

  Status Open() {
    return client_
        .Send({.query = {{"list-type", "2"}, {"max-keys", "1"}, {"prefix", PrefixOfAll()}}})
        .status();
  }

  StatusOr<About> Put(std::string_view key, Source& source, const PutOptions& options) override {
    STARLING_RETURN_IF_ERROR(CheckKey(key));
    STARLING_RETURN_IF_ERROR(CheckSize(source.size()));
    STARLING_ASSIGN_OR_RETURN(const std::string sha256, Sha256Of(source, PartBytes(source)));
    const Headers about = {{kPutHeader, NewId()}, {kShaHeader, sha256}};
    Headers condition;
    if (options.only_if_absent) condition.emplace_back("if-none-match", "*");
    Putting put{.key = NameOf(key), .about = about, .condition = condition};
    const Status status = source.size() <= client_.options().part_bytes ? PutWhole(put, source)
                                                                        : PutInParts(put, source);
    // After a lost answer the object that is in the way, or whose upload is unknown now, may be
    // ours.
    if (put.tries > 1 &&
        (status.code() == StatusCode::kAlreadyExists || status.code() == StatusCode::kNotFound)) {
      const auto there = client_.Send({.verb = Verb::kHead, .key = put.key});
      if (there.ok() && Field(*there, kPutHeader) == about[0].second) return AboutOf(key, *there);
    }
    if (status.code() == StatusCode::kAlreadyExists) {
      return AlreadyExists("there is a blob '{}' already", key);
    }
    if (status.code() == StatusCode::kNotFound) {
      return Unavailable("the upload of blob '{}' was ended by another; put it again", key);
    }
    STARLING_RETURN_IF_ERROR(status);
    return About{.size = source.size(), .sha256 = sha256, .etag = put.etag};
  }

  StatusOr<About> Head(std::string_view key) override {
    STARLING_RETURN_IF_ERROR(CheckKey(key));
    STARLING_ASSIGN_OR_RETURN(const http::ClientResponse response,
                              client_.Send({.verb = Verb::kHead, .key = NameOf(key)}));
    return AboutOf(key, response);
  }

  StatusOr<std::string> Read(std::string_view key, const Range& range) override {
    STARLING_RETURN_IF_ERROR(CheckKey(key));
    std::string bytes;
    std::string etag = range.etag;
    while (bytes.size() < range.size) {
      const uint64_t from = range.offset + bytes.size();
      const uint64_t size =
          std::min<uint64_t>(range.size - bytes.size(), client_.options().part_bytes);
      Headers headers = {{"range", fmt::format("bytes={}-{}", from, from + size - 1)}};
      if (!etag.empty()) headers.emplace_back("if-match", etag);
      StatusOr<http::ClientResponse> response =
          client_.Send({.key = NameOf(key), .headers = std::move(headers)});
      if (response.status().code() == StatusCode::kOutOfRange) break;
      STARLING_RETURN_IF_ERROR(response.status());
      if (response->status != 206 && from != 0) {
        return FailedPrecondition("S3 answered {} to a range of '{}'", response->status, key);
      }
      bytes.append(response->body, 0, size);
      if (response->body.size() < size) break;
      etag = Field(*response, "etag");
    }
    return bytes;
  }

  Status Delete(std::string_view key) override {
    STARLING_RETURN_IF_ERROR(CheckKey(key));
    const Status deleted = client_.Send({.verb = Verb::kDelete, .key = NameOf(key)}).status();
    return deleted.code() == StatusCode::kNotFound ? OkStatus() : deleted;
  }

  StatusOr<Page> List(const ListOptions& options) override {
    STARLING_RETURN_IF_ERROR(CheckList(options));
    s3::Query query = {{"list-type", "2"},
                       {"max-keys", std::to_string(options.limit)},
                       {"prefix", NameOf(options.prefix)}};
    if (!options.after.empty()) query.emplace_back("start-after", NameOf(options.after));
    STARLING_ASSIGN_OR_RETURN(const http::ClientResponse response, client_.Send({.query = query}));
    Page page;
    std::string last;
    for (std::string_view rest = response.body; auto object = s3::NextElement(rest, "Contents");) {
      last = s3::TextOf(*object, "Key").substr(client_.options().prefix.size());
      if (!CheckKey(last).ok()) continue;  // another's
      page.entries.push_back({last, Number(s3::TextOf(*object, "Size"))});
    }
    if (s3::TextOf(response.body, "IsTruncated") == "true") page.next = last;
    return page;
  }

  bool IsShared() const override { return true; }

 private:
  struct Putting {
    std::string key;
    Headers about;
    Headers condition;
    int tries = 1;  // of the request that decides
    std::string etag = {};
  };

  std::string NameOf(std::string_view key) const {
    return client_.options().prefix + std::string(key);
  }
  std::string PrefixOfAll() const { return client_.options().prefix; }

  uint64_t PartBytes(const Source& source) const {
    return std::max(client_.options().part_bytes, (source.size() + kMaxParts - 1) / kMaxParts);
  }

  static StatusOr<About> AboutOf(std::string_view key, const http::ClientResponse& response) {
    const std::string sha256 = Field(response, kShaHeader);
    if (sha256.size() != 64) {
      return DataLoss("the object of blob '{}' has no {}: it was not put here", key, kShaHeader);
    }
    return About{.size = Number(Field(response, "content-length")),
                 .sha256 = sha256,
                 .etag = Field(response, "etag")};
  }

  Status PutWhole(Putting& put, Source& source) {
    STARLING_ASSIGN_OR_RETURN(const std::string_view bytes,
                              source.Read(0, static_cast<size_t>(source.size())));
    Headers headers = put.about;
    headers.insert(headers.end(), put.condition.begin(), put.condition.end());
    STARLING_ASSIGN_OR_RETURN(
        const http::ClientResponse response,
        client_.Send({.verb = Verb::kPut, .key = put.key, .headers = headers, .body = bytes},
                     &put.tries));
    put.etag = Field(response, "etag");
    return OkStatus();
  }

  Status PutInParts(Putting& put, Source& source) {
    STARLING_ASSIGN_OR_RETURN(const http::ClientResponse begun,
                              client_.Send({.verb = Verb::kPost,
                                            .key = put.key,
                                            .query = {{"uploads", ""}},
                                            .headers = put.about}));
    const std::string upload = s3::TextOf(begun.body, "UploadId");
    if (upload.empty()) return FailedPrecondition("S3 began an upload without an UploadId");
    Status status = Upload(put, source, upload);
    if (!status.ok()) {
      const auto ignored =
          client_.Send({.verb = Verb::kDelete, .key = put.key, .query = {{"uploadId", upload}}});
    }
    return status;
  }

  Status Upload(Putting& put, Source& source, const std::string& upload) {
    std::string parts;
    int number = 0;
    const uint64_t part_bytes = PartBytes(source);
    for (uint64_t at = 0; at < source.size(); at += part_bytes) {
      ++number;
      const auto size = static_cast<size_t>(std::min(part_bytes, source.size() - at));
      STARLING_ASSIGN_OR_RETURN(const std::string_view bytes, source.Read(at, size));
      STARLING_ASSIGN_OR_RETURN(
          const http::ClientResponse part,
          client_.Send({.verb = Verb::kPut,
                        .key = put.key,
                        .query = {{"partNumber", std::to_string(number)}, {"uploadId", upload}},
                        .body = bytes}));
      parts += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", number,
                           Field(part, "etag"));
    }
    const std::string body =
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" + parts +
        "</CompleteMultipartUpload>";
    STARLING_ASSIGN_OR_RETURN(const http::ClientResponse done,
                              client_.Send({.verb = Verb::kPost,
                                            .key = put.key,
                                            .query = {{"uploadId", upload}},
                                            .headers = put.condition,
                                            .body = body},
                                           &put.tries));
    put.etag = s3::TextOf(done.body, "ETag");
    return OkStatus();
  }

  s3::Client client_;
};

}  // namespace

StatusOr<std::unique_ptr<Store>> OpenS3(s3::Options options, Runtime& runtime, const Clock& clock) {
  STARLING_RETURN_IF_ERROR(s3::TargetOf(options, "").status());
  auto opened = std::make_unique<S3>(std::move(options), runtime, clock);
  STARLING_RETURN_IF_ERROR(opened->Open());
  return opened;
}

}  // namespace starling::blob
