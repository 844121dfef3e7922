// HTTP/2 without I/O (RFC 9113): bytes in, requests out; answers in, bytes out. Internal to the
// server. nghttp2 has the frames, HPACK, flow control and the rules of fields; what is bounded, and
// what a request is, stands here.
//
//   H2Session session(options, owner);
//   session.Start();
//   session.Feed(bytes, now);                  // the owner hears of heads, requests, closed
//   streams while (session.Fill(out)) send(out) ...;   // after each Feed, and after each Answer
//
// Nothing here waits, and the owner is called from Feed and Fill only, where it must not call them
// again. One thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "platform/http/h2_frames.h"
#include "platform/http/h2_guard.h"
#include "platform/http/h2_stream.h"

struct nghttp2_session;

namespace starling::http {

struct H2Options {
  size_t max_header_bytes = size_t{16} << 10;  // names and values of a request together
  uint64_t max_body_bytes = uint64_t{1} << 20;
  uint64_t max_connection_body_bytes = uint64_t{16} << 20;
  size_t max_streams = 100;
  Duration header_timeout = std::chrono::seconds(10);
  Duration body_timeout = std::chrono::seconds(30);  // as ServerOptions has it
};

class H2Session {
 public:
  // Why a connection was ended by us.
  enum class End : uint8_t { kNone, kProtocolError, kFlood };

  class Owner {
   public:
    virtual ~Owner() = default;
    // Its head is known; may set what is public of the stream.
    virtual void OnHead(H2Stream& stream) = 0;
    // It is to be answered: a handler runs, then Answer. It lives until then at least. Its body is
    // whole, unless OnHead set streams_body_above.
    virtual void OnRequest(H2Stream& stream) = 0;
    // A request was refused, by an answer or by a reset.
    virtual void OnMalformed() = 0;
    // There is something for Fill.
    virtual void OnOutput() = 0;
    // The value of the field Date.
    virtual std::string_view Date() = 0;
  };

  H2Session(const H2Options& options, Owner& owner);
  ~H2Session();
  H2Session(const H2Session&) = delete;
  H2Session& operator=(const H2Session&) = delete;

  void Start();
  void Feed(std::string_view bytes, Instant now);
  // Appends frames to `out` until it has about 64 KiB or nothing is left.
  void Fill(std::string& out);

  // Ends the answer of a stream whose handler has ended.
  void Answer(H2Stream& stream);
  // Streams that begin from now on will be refused elsewhere; those that are there go on.
  void AnnounceShutdown();
  void Shutdown();
  // GOAWAY, then nothing more.
  void Terminate();
  // The connection is gone. Handlers that run are cancelled; each still calls Answer.
  void Close();

  // What is kept for streams to come.
  void GiveMemoryBack() { spare_.clear(); }

  // Nothing is to be read or written any more.
  bool finished() const;
  End end() const { return end_; }
  size_t open_streams() const { return streams_.size(); }
  // The client's SETTINGS came.
  bool greeted() const { return greeted_; }

  // Ends streams whose client is too slow: to send a head (the connection ends) or a body (408), or
  // to take the answer (reset). Gives how many there were.
  size_t CheckDeadlines(Instant now, Duration write_timeout);

 private:
  friend class H2Callbacks;
  friend class H2Stream;

  H2Stream* Open(int32_t id);
  void Release(H2Stream& stream);  // it is closed and has no handler
  void TakeField(H2Stream& stream, std::string_view name, std::string_view value);
  void TakeHead(H2Stream& stream, bool ends);
  void TakeBody(H2Stream& stream, std::string_view bytes);
  void Complete(H2Stream& stream);
  // The handler has done with so many bytes of a body: as many more may come.
  void TakenOfBody(H2Stream& stream, size_t bytes);
  void Continue(H2Stream& stream);  // 100
  void SendInterim(H2Stream& stream, const Response& interim);
  // Refuses a body: by an answer, or by an error that its reader gets.
  void RefuseBody(H2Stream& stream, Status why);
  // Answers at once with a problem document; what the client still sends of it is dropped.
  void Refuse(H2Stream& stream, Response response);
  void Submit(H2Stream& stream);
  void SubmitTrailers(H2Stream& stream);
  void Resume(H2Stream& stream);  // it has more to send
  void Reset(H2Stream& stream, uint32_t error_code);
  void GiveBack(H2Stream& stream);  // the memory of its body
  void EndWith(uint32_t error_code);
  bool Receive(std::string_view bytes);  // false: the connection ends
  bool IsInOrder(const H2FrameScanner::Head& head);
  bool MayBeginOrGoOn(int32_t id, bool is_known);
  bool IsStalled(const H2Stream& stream) const;

  const H2Options options_;
  Owner& owner_;
  nghttp2_session* session_ = nullptr;
  std::vector<std::unique_ptr<H2Stream>> streams_;
  std::vector<std::unique_ptr<H2Stream>> spare_;
  uint64_t buffered_ = 0;  // bytes of bodies of all streams
  H2FrameScanner frames_{H2FrameScanner::kPrefaceBytes};
  FloodBudget controls_;
  FloodBudget resets_;
  int window_credit_ = 0;  // WINDOW_UPDATEs that our DATA explains
  Instant now_{};
  End end_ = End::kNone;
  uint32_t fault_ = 0;  // what a callback found; the connection ends with it
  int32_t last_opened_ = 0;
  std::vector<std::pair<int32_t, int32_t>> skipped_;  // streams that never were, newest last
  std::vector<int32_t> left_;  // streams that we ended first, whose client may not know yet
  uint64_t taken_ = 0;         // bytes of all answers that went into frames
  uint64_t swept_ = 0;
  bool greeted_ = false;
  bool closed_ = false;
  std::string* out_ = nullptr;  // while Fill runs
  std::string names_;           // of a head, in lower case
};

}  // namespace starling::http
