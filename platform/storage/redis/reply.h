// What Redis answers, and what we send it (RESP2).
//
//   std::string bytes = Command({"HGET", values, key});
//   ReplyReader reader;
//   reader.Feed(bytes);
//   StatusOr<std::optional<Reply>> reply = reader.Next();   // nullopt: more bytes are needed
//
// Views of a Reply live as long as it. Used by one thread.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "platform/base/status.h"

struct redisReader;
struct redisReply;

namespace starling::redis {

std::string Command(std::initializer_list<std::string_view> words);
std::string Command(std::span<const std::string_view> words);

// One reply, or an element of one.
class ReplyView {
 public:
  explicit ReplyView(const redisReply* reply) : reply_(reply) {}
  bool is_nil() const;
  bool is_error() const;
  bool is_text() const;           // a string or a status
  std::string_view text() const;  // of a string, a status or an error; "" of others
  int64_t integer() const;        // 0 of others
  size_t size() const;            // of an array; 0 of others
  ReplyView operator[](size_t index) const;

 private:
  const redisReply* reply_;
};

class Reply : public ReplyView {
 public:
  explicit Reply(redisReply* reply) : ReplyView(reply), owned_(reply) {}

 private:
  struct Free {
    void operator()(redisReply* reply) const;
  };
  std::unique_ptr<redisReply, Free> owned_;
};

class ReplyReader {
 public:
  ReplyReader();
  ~ReplyReader();
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  // INTERNAL: these are no bytes of the protocol. Then the reader is of no more use.
  Status Feed(std::string_view bytes);
  StatusOr<std::optional<Reply>> Next();

 private:
  redisReader* const reader_;
};

// An error of Redis as a status. "OOM ..." RESOURCE_EXHAUSTED, the memory is full; "LOADING",
// "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "READONLY", "BUSY", "MISCONF", "NOREPLICAS", "MOVED" and
// "ASK" UNAVAILABLE, it may come back; "NOAUTH", "WRONGPASS" and "NOPERM" FAILED_PRECONDITION;
// what else there is INTERNAL. `server` names it.
Status StatusOfError(std::string_view error, std::string_view server);

}  // namespace starling::redis
