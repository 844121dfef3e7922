#include "platform/async/blocking_pool.h"

#include <pthread.h>
#include <sys/resource.h>

namespace starling {

BlockingPool::BlockingPool(Options options) : options_(std::move(options)) {
  for (int i = 0; i < options_.threads; ++i) {
    threads_.emplace_back([this] { Work(); });
    pthread_setname_np(threads_.back().native_handle(), options_.name.substr(0, 15).c_str());
  }
}

BlockingPool::~BlockingPool() { Stop(); }

void BlockingPool::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ready_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

Status BlockingPool::Submit(std::function<void()> f) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return Unavailable("the {} pool is stopping", options_.name);
    if (queue_.size() >= options_.queue_limit) {
      return Overloaded(
          fmt::format("the {} pool has {} calls waiting, its limit", options_.name, queue_.size()),
          std::chrono::seconds(1));
    }
    queue_.push_back(std::move(f));
  }
  ready_.notify_one();
  return OkStatus();
}

size_t BlockingPool::Waiting() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

void BlockingPool::Work() {
  // Of this thread alone, in Linux. To be nicer than before is never refused.
  if (options_.nice > 0) setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + options_.nice);
  std::unique_lock lock(mutex_);
  while (true) {
    ready_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    std::function<void()> f = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    f();
    f = nullptr;
    lock.lock();
  }
}

}  // namespace starling
