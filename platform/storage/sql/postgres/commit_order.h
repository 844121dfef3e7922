// Runs the hooks of writes in an order in which these took effect, though they commit side by side.
//
//   CommitOrder::Ticket ticket(order);       // just before COMMIT is sent
//   Status committed = session.Commit();     // several at once: the server shares their fsync
//   ticket.WaitForTurn();                    // until all who took a ticket before have ended
//   theirs if (committed.ok()) RunHooks();          // one after the other
//
// Where one write depends on another (it read or changed what the other wrote), it could not go on
// before the other's COMMIT had reached the server; so its ticket is the later one.
//
// Thread-safe. A turn waits for commits that are under way, no longer.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <set>

namespace starling::sql {

class CommitOrder {
 public:
  class Ticket {
   public:
    explicit Ticket(CommitOrder& order) : order_(order) {
      const std::lock_guard lock(order_.mutex_);
      number_ = order_.next_++;
      order_.under_way_.insert(number_);
    }
    ~Ticket() {
      {
        const std::lock_guard lock(order_.mutex_);
        order_.under_way_.erase(number_);
      }
      order_.ended_.notify_all();
    }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;

    void WaitForTurn() {
      std::unique_lock lock(order_.mutex_);
      order_.ended_.wait(lock, [this] { return *order_.under_way_.begin() == number_; });
    }

   private:
    CommitOrder& order_;
    uint64_t number_;
  };

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  uint64_t next_ = 0;
  std::set<uint64_t> under_way_;
};

}  // namespace starling::sql
