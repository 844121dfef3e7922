// The training service as inference sees it, for tests: versions that a test puts there.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>

#include "contracts/training/v1/training.service.h"
#include "platform/base/id.h"
#include "platform/security/token.h"

namespace starling::inference {

// May be away.
class MadeTraining final : public training::v1::Training {
 public:
  // Its bytes on the way may differ from those that were registered.
  void Put(const std::string& version, std::string registered, std::string sent) {
    training::v1::ModelVersion about;
    about.set_model("recommender");
    about.set_version(version);
    about.set_artifact_bytes(static_cast<int64_t>(registered.size()));
    about.set_artifact_sha256(ToHex(security::Sha256(registered).view()));
    const std::lock_guard lock(mutex_);
    versions_[version] = {about, std::move(sent)};
  }
  void Put(const std::string& version, const std::string& bytes) { Put(version, bytes, bytes); }
  void Serve(const std::string& version) {
    const std::lock_guard lock(mutex_);
    serving_ = version;
  }
  std::atomic<bool> away{false};

  Task<StatusOr<training::v1::ListModelsResponse>> ListModels(
      CallContext&, const training::v1::ListModelsRequest&) override {
    if (away) co_return Unavailable("training is away");
    const std::lock_guard lock(mutex_);
    training::v1::ListModelsResponse response;
    auto& model = *response.add_models();
    model.set_model("recommender");
    model.set_serving_version(serving_);
    co_return response;
  }
  Task<StatusOr<training::v1::ListVersionsResponse>> ListVersions(
      CallContext&, const training::v1::ListVersionsRequest&) override {
    const std::lock_guard lock(mutex_);
    training::v1::ListVersionsResponse response;
    for (const auto& [name, version] : versions_) *response.add_versions() = version.about;
    co_return response;
  }
  Task<Status> ReadArtifact(CallContext&, const training::v1::ReadArtifactRequest& request,
                            rpc::Stream<training::v1::ArtifactChunk>& out) override {
    if (away) co_return Unavailable("training is away");
    Version version;
    {
      const std::lock_guard lock(mutex_);
      version = versions_.at(request.version());
    }
    for (size_t at = 0; at < version.sent.size(); at += 1'000) {
      training::v1::ArtifactChunk chunk;
      chunk.set_data(version.sent.substr(at, 1'000));
      if (at == 0) *chunk.mutable_version() = version.about;
      CO_RETURN_IF_ERROR(co_await out.Write(chunk));
    }
    co_return OkStatus();
  }
  Task<StatusOr<training::v1::Operation>> TrainModel(
      CallContext&, const training::v1::TrainModelRequest&) override {
    co_return Unimplemented("not asked by inference");
  }
  Task<StatusOr<training::v1::ModelVersion>> PromoteVersion(
      CallContext&, const training::v1::PromoteVersionRequest&) override {
    co_return Unimplemented("not asked by inference");
  }
  Task<StatusOr<training::v1::Operation>> GetOperation(
      CallContext&, const training::v1::GetOperationRequest&) override {
    co_return Unimplemented("not asked by inference");
  }
  Task<StatusOr<training::v1::Operation>> CancelOperation(
      CallContext&, const training::v1::CancelOperationRequest&) override {
    co_return Unimplemented("not asked by inference");
  }

 private:
  struct Version {
    training::v1::ModelVersion about;
    std::string sent;
  };
  std::mutex mutex_;
  std::map<std::string, Version> versions_;
  std::string serving_;
};

}  // namespace starling::inference
