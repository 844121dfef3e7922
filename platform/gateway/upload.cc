#include "platform/gateway/upload.h"

#include <charconv>

#include "platform/gateway/upstream.h"

namespace starling::gateway {

struct Upload::State {
  http::Exchange& exchange;
  UpstreamConnection& connection;
  const ForwardPolicy& policy;
  const Framing framing;
  bool answer_began = false;
  bool sent_all = false;
  bool ending = false;  // nobody wants the rest
  bool over = false;
  Status client_error;
  std::optional<Completion<bool>> waiter;

  void ExpectAnswer() {
    if (!answer_began && framing != Framing::kTunnel)
      connection.SetDeadline(std::chrono::steady_clock::now() + policy.timeout);
  }
};

Upload::Upload(http::Exchange& exchange, UpstreamConnection& connection,
               const ForwardPolicy& policy, Framing framing)
    : state_(std::make_shared<State>(State{.exchange = exchange,
                                           .connection = connection,
                                           .policy = policy,
                                           .framing = framing,
                                           .client_error = {},
                                           .waiter = {}})) {}

void Upload::Start(const Executor& executor) {
  state_->connection.SetDeadline(Instant::max());
  Spawn(executor, Run(state_));
}

Task<void> Upload::Run(std::shared_ptr<State> state) {
  // Also where the frame is destroyed as it waits: then the waiter's is, too.
  struct AtEnd {
    State& state;
    ~AtEnd() {
      if (!state.waiter) return;
      Completion<bool> waiter = *std::exchange(state.waiter, std::nullopt);
      if (state.over) waiter(true);
    }
  } at_end{*state};
  std::string frame;  // around a piece
  while (state->client_error.ok() && !state->ending && !state->sent_all) {
    const http::BodyPiece piece = co_await state->exchange.ReadBody();
    if (!piece.ok()) {
      if (!state->ending) {
        state->client_error = piece.status();
        // A part must not pass for the whole: the connection ends, and with it who waits for an
        // answer.
        state->connection.Stop(piece.status());
      }
      break;
    }
    const bool last = !piece->has_value();
    const std::string_view text = last ? std::string_view() : **piece;
    if (last && state->framing == Framing::kTunnel) {
      state->connection.FinishSending();
      break;
    }
    if (state->framing == Framing::kTunnel) {
      state->connection.SetDeadline(std::chrono::steady_clock::now() + state->policy.quiet_timeout);
    }
    if (state->framing == Framing::kChunks) {
      char size[20];
      const auto [end, error] = std::to_chars(size, size + sizeof(size), text.size(), 16);
      frame.append(size, end).append(last ? "\r\n\r\n" : "\r\n");
    }
    state->connection.SetSendDeadline(std::chrono::steady_clock::now() +
                                      state->policy.quiet_timeout);
    const Status sent = co_await state->connection.Write(frame, text);
    state->connection.SetSendDeadline(Instant::max());
    // What it has said all the same is read, and worth more than our error.
    if (!sent.ok()) break;
    frame.assign(state->framing == Framing::kChunks ? "\r\n" : "");
    state->sent_all = last;
  }
  if (!state->ending) state->ExpectAnswer();
  state->over = true;
}

Task<void> Upload::End() {
  State& state = *state_;
  if (state.over) co_return;
  state.ending = true;
  state.exchange.StopReadingBody();
  state.connection.StopSending();
  co_await Suspend<bool>(
      [&state](Completion<bool> completion) { state.waiter.emplace(std::move(completion)); });
}

void Upload::AnswerBegan() { state_->answer_began = true; }

bool Upload::sent_all() const { return state_->sent_all; }

Status Upload::client_error() const { return state_->client_error; }

}  // namespace starling::gateway
