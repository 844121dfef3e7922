#include "platform/async/cancellation.h"

namespace starling {

CancellationToken::Registration CancellationToken::OnCancel(std::function<void()> callback) const {
  Registration registration;
  if (state_ == nullptr) return registration;
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->cancelled) {
      registration.state_ = state_;
      registration.at_ = state_->callbacks.insert(state_->callbacks.end(), std::move(callback));
      return registration;
    }
  }
  callback();
  return registration;
}

CancellationToken::Registration& CancellationToken::Registration::operator=(
    Registration&& other) noexcept {
  if (this != &other) {
    Release();
    state_ = std::exchange(other.state_, nullptr);
    at_ = other.at_;
  }
  return *this;
}

void CancellationToken::Registration::Release() {
  if (state_ == nullptr) return;
  std::unique_lock lock(state_->mutex);
  const void* self = &*at_;
  if (state_->runner != std::this_thread::get_id()) {
    state_->finished.wait(lock, [&] { return state_->running != self; });
  }
  state_->callbacks.erase(at_);
  lock.unlock();
  state_ = nullptr;
}

void CancellationSource::Cancel() {
  std::unique_lock lock(state_->mutex);
  if (state_->cancelled.exchange(true)) return;
  state_->runner = std::this_thread::get_id();
  // A registration may be released by a callback, its own or another's: so each is taken out before
  // it runs, and its node stays in the list for Release to erase.
  for (auto at = state_->callbacks.begin(); at != state_->callbacks.end();) {
    if (!*at) {
      ++at;
      continue;
    }
    std::function<void()> callback = std::exchange(*at, nullptr);
    state_->running = &*at;
    lock.unlock();
    callback();
    lock.lock();
    state_->running = nullptr;
    state_->finished.notify_all();
    at = state_->callbacks.begin();
  }
  state_->runner = {};
}

}  // namespace starling
