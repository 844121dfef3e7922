#include "platform/gateway/cache/forms.h"

namespace starling::gateway {
namespace {

class StoreForms final : public http::EncodedForms {
 public:
  StoreForms(std::shared_ptr<const void> owner, Store& store, const StoredResponse& stored,
             const http::Headers& request)
      : owner_(std::move(owner)),
        store_(store),
        key_(stored.key),
        selecting_(stored.selecting),
        freshness_(stored.freshness),
        body_id_(stored.body_id),
        request_(request) {}

  std::shared_ptr<const std::string> Find(http::Coding coding) override {
    const std::string key = KeyOf(coding);
    const StoredPtr found = store_.Find(key, store_.HashOf(key), request_).response;
    return found != nullptr && found->body_id == body_id_ ? found->body : nullptr;
  }
  void Keep(http::Coding coding, std::shared_ptr<const std::string> body) override {
    const auto form = std::make_shared<StoredResponse>();
    form->key = KeyOf(coding);
    form->selecting = selecting_;
    form->freshness = freshness_;
    form->body = std::move(body);
    form->body_id = body_id_;
    store_.Put(form, store_.HashOf(form->key));
  }

 private:
  // No target has a line's end in it.
  std::string KeyOf(http::Coding coding) const {
    return fmt::format("{}\n{}", key_, http::CodingName(coding));
  }

  const std::shared_ptr<const void> owner_;
  Store& store_;
  const std::string key_;
  const SelectingFields selecting_;
  const Freshness freshness_;
  const uint64_t body_id_;
  const http::Headers& request_;
};

}  // namespace

std::shared_ptr<http::EncodedForms> FormsInStore(std::shared_ptr<const void> owner, Store& store,
                                                 const StoredResponse& stored,
                                                 const http::Headers& request) {
  return std::make_shared<StoreForms>(std::move(owner), store, stored, request);
}

}  // namespace starling::gateway
