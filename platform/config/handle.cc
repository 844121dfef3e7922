#include "platform/config/handle.h"

#include <vector>

namespace starling::config {

std::shared_ptr<void> Listeners::Add(Callback callback) {
  auto shared = std::make_shared<const Callback>(std::move(callback));
  {
    const std::lock_guard lock(state_->mutex);
    state_->callbacks.push_back(shared);
  }
  // The token's deleter takes the callback out; the list may outlive this object.
  return {static_cast<void*>(state_.get()), [state = state_, shared](void*) {
            const std::lock_guard lock(state->mutex);
            state->callbacks.remove(shared);
          }};
}

void Listeners::Call(const void* value) const {
  const std::lock_guard lock(state_->mutex);
  const std::vector<std::shared_ptr<const Callback>> callbacks(state_->callbacks.begin(),
                                                               state_->callbacks.end());
  for (const auto& callback : callbacks) {
    // One may have been taken back by a callback before it.
    for (const auto& still : state_->callbacks) {
      if (still == callback) {
        (*callback)(value);
        break;
      }
    }
  }
}

}  // namespace starling::config
