#include "platform/gateway/streamed_body.h"

namespace starling::gateway {
namespace {
constexpr size_t kKept = size_t{64} * 1024;
}

StreamedBody::StreamedBody(http::Exchange& exchange, Duration timeout, Instant call_deadline)
    : state_(new State{.exchange = exchange, .timeout = timeout, .call_deadline = call_deadline}) {}

void StreamedBody::State::Wake() {
  if (!waiter) return;
  Completion<bool> woken = *std::exchange(waiter, std::nullopt);
  woken(true);
}

void StreamedBody::State::Extend() {
  if (to->begun()) return;
  to->SetDeadline(std::min(call_deadline, std::chrono::steady_clock::now() + timeout));
}

void StreamedBody::SendTo(H2Request& request, const Executor& executor) {
  State& state = *state_;
  state.to = &request;
  request.Append(state.kept);
  if (state.whole) request.EndBody();
  if (!state.error.ok()) request.Fail(state.error);
  if (!std::exchange(state.begun, true)) Spawn(executor, Read(state_));
}

Task<void> StreamedBody::LetGo() {
  State& state = *state_;
  if (state.to != nullptr) std::exchange(state.to, nullptr)->InterruptBody();
  while (state.sending)
    co_await Suspend<bool>([&](Completion<bool> woken) { state.waiter.emplace(std::move(woken)); });
}

Task<void> StreamedBody::Finish() {
  State& state = *state_;
  if (!state.begun) co_return;
  if (!state.done) state.exchange.StopReadingBody();
  while (!state.done)
    co_await Suspend<bool>([&](Completion<bool> woken) { state.waiter.emplace(std::move(woken)); });
}

Task<void> StreamedBody::Read(std::shared_ptr<State> state) {
  for (;;) {
    http::BodyPiece piece = co_await state->exchange.ReadBody();
    if (!piece.ok()) {
      state->error = piece.status();
      if (state->to != nullptr) state->to->Fail(state->error);
      break;
    }
    if (!piece->has_value()) {
      state->whole = true;
      if (state->to != nullptr) {
        state->Extend();
        state->to->EndBody();
      }
      break;
    }
    const std::string_view bytes = **piece;
    if (state->replayable && state->kept.size() + bytes.size() <= kKept) {
      state->kept.append(bytes);
    } else {
      state->replayable = false;
      state->kept = {};
    }
    if (state->to == nullptr) continue;
    state->Extend();
    state->sending = true;
    const bool wanted = co_await state->to->AppendAll(bytes);
    state->sending = false;
    state->Wake();
    if (!wanted && !state->replayable) break;
  }
  state->done = true;
  state->Wake();
}

}  // namespace starling::gateway
