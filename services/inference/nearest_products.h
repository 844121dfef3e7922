// Products nearest to one by the vectors of a version, found by a vector store: in memory, or on
// pgvector where storage.vector says so.
//
//   co_await nearest->Keep({model});                                // its vectors are in the store
//   auto answer = co_await nearest->List(context, model, request);  // ListNearest's
//
// A version's vectors are one collection, named by the version and its artefact's digest, so that
// several instances which share a store write it once and a store that outlived its models cannot
// mislead. The newest three stay, and those of the versions that are loaded.
//
// An answer never fails by the store: it has no products then, and says why. What the store does
// not answer within `inference.vectors_timeout` is not waited for, and after that or an error
// nobody asks it for a second.
//
// Thread-safe. Calls own what they work on.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "platform/host/environment.h"
#include "platform/storage/vector/store.h"
#include "services/inference/inference_config.h"
#include "services/inference/loaded_model.h"

namespace starling::inference {

// INVALID_ARGUMENT names the field that is beyond its limit.
Status CheckRequest(const v1::ListNearestRequest& request);

class NearestProducts : public std::enable_shared_from_this<NearestProducts> {
 public:
  using Model = std::shared_ptr<const LoadedModel>;

  // A store that cannot be reached is tried again by Keep; one that lacks what it needs, as an
  // extension, is an error. Blocks.
  static StatusOr<std::shared_ptr<NearestProducts>> Create(host::Environment& environment);
  explicit NearestProducts(host::Environment& environment);

  // Writes what the store lacks of these, which are loaded, and drops what nobody needs. OK at once
  // when it is known to have all.
  Task<Status> Keep(std::vector<Model> models);
  Task<v1::ListNearestResponse> List(rpc::CallContext& context, Model model,
                                     const v1::ListNearestRequest& request);

 private:
  using Store = std::shared_ptr<vector::Store>;
  struct Asked {
    std::string collection;
    std::vector<float> values;
    size_t k = 0;
    std::vector<std::string> excluded;
  };
  Status Open();
  Store store() const;
  Task<Status> Write(const Store& store, const LoadedModel& model, const std::string& collection);
  // All but the newest and those in `needed`.
  Task<Status> DropOld(const Store& store, const std::set<std::string>& needed);
  // A call of its own, so that it can be left behind.
  Task<StatusOr<std::vector<vector::Hit>>> Ask(rpc::CallContext& context, const Asked& asked);

  host::Environment& environment_;
  const config::Handle<InferenceConfig> config_;
  mutable std::mutex mutex_;
  Store store_;                          // nullptr while it cannot be reached
  std::set<std::string> kept_;           // collections that the store is known to have
  std::atomic<int64_t> quiet_until_{0};  // steady nanoseconds; nobody asks before
};

}  // namespace starling::inference
