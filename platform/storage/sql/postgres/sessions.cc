#include "platform/storage/sql/postgres/sessions.h"

#include <algorithm>

namespace starling::sql {
namespace {

constexpr std::chrono::milliseconds kFirstPause(50);
constexpr std::chrono::milliseconds kLongestPause(2'000);

}  // namespace

StatusOr<Sessions::Lease> Sessions::Take() {
  while (std::unique_ptr<PostgresSession> session = TakeIdle()) {
    if (session->Alive()) return Lease(*this, std::move(session));
  }
  STARLING_ASSIGN_OR_RETURN(std::unique_ptr<PostgresSession> session, Connect());
  return Lease(*this, std::move(session));
}

std::unique_ptr<PostgresSession> Sessions::TakeIdle() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return nullptr;
  std::unique_ptr<PostgresSession> session = std::move(idle_.back());
  idle_.pop_back();
  return session;
}

StatusOr<std::unique_ptr<PostgresSession>> Sessions::Connect() {
  {
    const std::lock_guard lock(mutex_);
    const Instant now = SystemClock().MonotonicNow();
    if (pause_ > Duration(0)) {
      if (now < next_try_) return last_error_;
      next_try_ = now + pause_;  // this call tries, others wait for what it hears
    }
  }
  auto session = PostgresSession::Connect(target_, options_);
  const std::lock_guard lock(mutex_);
  if (session.ok()) {
    pause_ = Duration(0);
    return session;
  }
  pause_ = std::clamp<Duration>(pause_ * 2, kFirstPause, kLongestPause);
  next_try_ = SystemClock().MonotonicNow() + pause_;
  last_error_ = session.status();
  return session;
}

void Sessions::Give(std::unique_ptr<PostgresSession> session) {
  if (!session->Alive()) return;
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(session));
}

}  // namespace starling::sql
