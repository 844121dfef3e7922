#include "platform/storage/redis/reply.h"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

namespace starling::redis {
namespace {

void AppendHead(std::string& to, char kind, size_t number) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  to += kind;
  to.append(digits.data(), end);
  to += "\r\n";
}

}  // namespace

std::string Command(std::span<const std::string_view> words) {
  size_t size = 16;
  for (const std::string_view word : words) size += word.size() + 16;
  std::string bytes;
  bytes.reserve(size);
  AppendHead(bytes, '*', words.size());
  for (const std::string_view word : words) {
    AppendHead(bytes, '$', word.size());
    bytes += word;
    bytes += "\r\n";
  }
  return bytes;
}

std::string Command(std::initializer_list<std::string_view> words) {
  return Command(std::span(words.begin(), words.size()));
}

bool ReplyView::is_nil() const { return reply_->type == REDIS_REPLY_NIL; }
bool ReplyView::is_error() const { return reply_->type == REDIS_REPLY_ERROR; }
bool ReplyView::is_text() const {
  return reply_->type == REDIS_REPLY_STRING || reply_->type == REDIS_REPLY_STATUS;
}
std::string_view ReplyView::text() const {
  if (!is_text() && !is_error()) return {};
  return {reply_->str, reply_->len};
}
int64_t ReplyView::integer() const {
  return reply_->type == REDIS_REPLY_INTEGER ? reply_->integer : 0;
}
size_t ReplyView::size() const { return reply_->type == REDIS_REPLY_ARRAY ? reply_->elements : 0; }
ReplyView ReplyView::operator[](size_t index) const { return ReplyView(reply_->element[index]); }

void Reply::Free::operator()(redisReply* reply) const { freeReplyObject(reply); }

ReplyReader::ReplyReader() : reader_(redisReaderCreate()) {
  if (reader_ == nullptr) std::abort();  // no memory
}
ReplyReader::~ReplyReader() { redisReaderFree(reader_); }

Status ReplyReader::Feed(std::string_view bytes) {
  if (redisReaderFeed(reader_, bytes.data(), bytes.size()) == REDIS_OK) return OkStatus();
  return Internal("a reply of Redis cannot be read: {}", reader_->errstr);
}

StatusOr<std::optional<Reply>> ReplyReader::Next() {
  void* reply = nullptr;
  if (redisReaderGetReply(reader_, &reply) != REDIS_OK)
    return Internal("a reply of Redis cannot be read: {}", reader_->errstr);
  if (reply == nullptr) return std::optional<Reply>();
  return std::optional<Reply>(Reply(static_cast<redisReply*>(reply)));
}

Status StatusOfError(std::string_view error, std::string_view server) {
  const std::string_view code = error.substr(0, error.find(' '));
  const auto one_of = [&](std::initializer_list<std::string_view> codes) {
    return std::find(codes.begin(), codes.end(), code) != codes.end();
  };
  if (code == "OOM") {
    return StorageFailed(ResourceExhausted(
        "{} has no memory left: raise its maxmemory, or delete something ({})", server, error));
  }
  if (one_of({"LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "READONLY", "BUSY", "MISCONF",
              "NOREPLICAS", "MOVED", "ASK"})) {
    return WithRetryAfter(Unavailable("{} cannot answer now: {}", server, error),
                          std::chrono::milliseconds(100));
  }
  if (one_of({"NOAUTH", "WRONGPASS", "NOPERM"}))
    return FailedPrecondition("{} does not let this process in: {}", server, error);
  return Internal("{} refused a command: {}", server, error);
}

}  // namespace starling::redis
