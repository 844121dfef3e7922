// HTTP/2 as a client, without I/O (RFC 9113): requests out, answers in. nghttp2 has the frames,
// HPACK, flow control and the rules of fields; what is bounded stands here.
//
//   H2ClientSession session(options, owner);
//   session.Start();
//   stream.Begin(session, fields, has_body);     // an H2ClientStream, of whoever asks
//   session.Feed(bytes, now);                    // streams hear OnEvent
//   session.Fill(out);                           // when the owner hears OnOutput
//
// Nothing here waits. Streams and the owner are called from Feed, Fill and Close; they must not
// call these again. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/http/h2_guard.h"
#include "platform/http/message.h"

struct nghttp2_session;

namespace starling::http {

struct H2ClientOptions {
  size_t max_header_bytes = size_t{32} << 10;  // names and values of an answer; of its trailers
  size_t max_streams = 100;                    // at once, if the server takes as many
  uint32_t window = 256 * 1024;                // bytes of an answer that nobody has taken yet
};

class H2ClientSession;

// One request and its answer. Destroyed before its end, it resets the stream with CANCEL.
class H2ClientStream {
 public:
  using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

  H2ClientStream() = default;
  virtual ~H2ClientStream();
  H2ClientStream(const H2ClientStream&) = delete;
  H2ClientStream& operator=(const H2ClientStream&) = delete;

  // Fields with pseudo fields first and names in lower case. False: the session takes none.
  bool Begin(H2ClientSession& session, const Fields& fields, bool has_body);
  // More of the body; it is copied, so look at unsent() before the next.
  void Append(std::string_view bytes);
  void EndBody();
  void Reset(uint32_t error_code);
  size_t unsent() const { return out_.size() - out_begin_; }

  // Answers before the answer (1xx), each with its status and headers, the oldest first; nullopt
  // when none waits. Beyond kMostInterim that wait they are dropped.
  static constexpr size_t kMostInterim = 32;
  std::optional<Response> TakeInterim();
  bool has_head() const { return has_head_; }
  Response& answer() { return answer_; }  // status, headers, trailers; its body is in TakeBody
  bool has_body() const { return !in_.empty(); }
  // What came, and leave for as much more.
  std::string TakeBody();
  bool whole() const { return whole_; }    // nothing will follow what came
  bool closed() const { return closed_; }  // nothing comes any more, whole or not
  // Why it is closed and not whole.
  const Status& why() const { return why_; }
  // The server has certainly not looked at the request (RFC 9113, 8.7): it may be sent again.
  bool unprocessed() const { return unprocessed_; }
  std::optional<uint64_t> content_length() const { return length_; }

 protected:
  virtual void OnEvent() = 0;
  // What the destructor does: nothing is called from here on.
  void Leave();

 private:
  friend class H2ClientSession;
  friend class H2ClientCallbacks;
  void Close(Status why, bool unprocessed);

  H2ClientSession* session_ = nullptr;
  int32_t id_ = 0;
  size_t index_ = 0;  // in the session's streams
  std::string out_;
  size_t out_begin_ = 0;
  bool out_ended_ = false;
  bool head_sent_ = false;

  std::deque<Response> interim_;
  Response answer_;
  std::string in_;
  size_t header_bytes_ = 0;
  bool has_head_ = false;
  bool whole_ = false;
  bool closed_ = false;
  bool unprocessed_ = false;
  std::optional<uint64_t> length_;
  Status fault_;  // what is wrong with the answer
  Status why_;
};

class H2ClientSession {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // There is something for Fill.
    virtual void OnOutput() = 0;
  };

  H2ClientSession(const H2ClientOptions& options, Owner& owner);
  ~H2ClientSession();
  H2ClientSession(const H2ClientSession&) = delete;
  H2ClientSession& operator=(const H2ClientSession&) = delete;

  void Start();
  // False: the connection is of no use any more, error() says why.
  bool Feed(std::string_view bytes, Instant now);
  // Appends frames to `out` until it has about 64 KiB or nothing is left.
  void Fill(std::string& out);
  void Ping();
  // GOAWAY; streams that are there go on.
  void SayGoodbye();
  // The connection is gone: streams end with this.
  void Close(const Status& why);

  // The server's SETTINGS came.
  bool greeted() const { return greeted_; }
  // How many streams may be there at once now; 0 after GOAWAY.
  size_t limit() const;
  size_t open_streams() const { return streams_.size(); }
  bool leaving() const { return leaving_; }  // GOAWAY came
  uint64_t pings_answered() const { return pings_answered_; }
  // Bytes, or nothing more to say.
  bool finished() const;
  // How the server broke the protocol; "": it did not.
  const std::string& error() const { return error_; }

 private:
  friend class H2ClientStream;
  friend class H2ClientCallbacks;
  void Remove(H2ClientStream& stream);
  std::string Broken(uint32_t error_code) const;
  bool TakeField(H2ClientStream& stream, std::string_view name, std::string_view value);

  const H2ClientOptions options_;
  Owner& owner_;
  nghttp2_session* session_ = nullptr;
  std::vector<H2ClientStream*> streams_;
  FloodBudget controls_;
  Instant now_{};
  std::string* out_ = nullptr;  // while Fill runs
  std::string error_;
  uint64_t pings_answered_ = 0;
  bool greeted_ = false;
  bool leaving_ = false;
  bool closed_ = false;
};

}  // namespace starling::http
