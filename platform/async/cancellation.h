// Cancellation that travels with a call: asked once, seen everywhere, never undone.
//
//   CancellationSource source;
//   CancellationToken token = source.token();
//   auto registration = token.OnCancel([&] { socket.close(); });   // runs at once when already
//   cancelled source.Cancel();
//
// Thread-safe. A default token is never cancelled. IsCancelled costs one relaxed load. A callback
// runs on the thread that cancels, at most once; destroying its Registration waits for one that
// runs on another thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace starling {

class CancellationToken {
 public:
  class Registration;
  CancellationToken() = default;
  bool IsCancelled() const;
  bool CanBeCancelled() const { return state_ != nullptr; }
  [[nodiscard]] Registration OnCancel(std::function<void()> callback) const;

 private:
  friend class CancellationSource;
  struct State;
  explicit CancellationToken(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

struct CancellationToken::State {
  std::atomic<bool> cancelled{false};
  std::mutex mutex;
  std::condition_variable finished;
  std::list<std::function<void()>> callbacks;
  const void* running = nullptr;
  std::thread::id runner;
};

class CancellationToken::Registration {
 public:
  Registration() = default;
  Registration(Registration&& other) noexcept { *this = std::move(other); }
  Registration& operator=(Registration&& other) noexcept;
  ~Registration() { Release(); }
  void Release();

 private:
  friend class CancellationToken;
  std::shared_ptr<State> state_;
  std::list<std::function<void()>>::iterator at_;
};

class CancellationSource {
 public:
  CancellationSource() : state_(std::make_shared<CancellationToken::State>()) {}
  CancellationToken token() const { return CancellationToken(state_); }
  void Cancel();

 private:
  std::shared_ptr<CancellationToken::State> state_;
};

inline bool CancellationToken::IsCancelled() const {
  return state_ != nullptr && state_->cancelled.load(std::memory_order_relaxed);
}

}  // namespace starling
