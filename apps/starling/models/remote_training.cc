#include "apps/starling/models/remote_training.h"

#include "contracts/training/v1/training.json.h"
#include "platform/http/problem.h"
#include "platform/http/url.h"
#include "platform/json/codec.h"

namespace starling {
namespace {

namespace v1 = training::v1;

class RemoteTraining final : public v1::Training {
 public:
  RemoteTraining(http::Client& client, std::string url, std::string key)
      : client_(client), url_(std::move(url)), key_(std::move(key)) {
    while (url_.ends_with('/')) url_.pop_back();
  }

  Task<StatusOr<v1::ListModelsResponse>> ListModels(CallContext& context,
                                                    const v1::ListModelsRequest&) override {
    return Send<v1::ListModelsResponse>(context, http::Verb::kGet, "/v1/models", "");
  }
  Task<StatusOr<v1::ListVersionsResponse>> ListVersions(
      CallContext& context, const v1::ListVersionsRequest& request) override {
    return Send<v1::ListVersionsResponse>(context, http::Verb::kGet,
                                          ModelPath(request.model()) + "/versions", "");
  }
  Task<StatusOr<v1::Operation>> TrainModel(CallContext& context,
                                           const v1::TrainModelRequest& request) override {
    return Send<v1::Operation>(context, http::Verb::kPost, ModelPath(request.model()) + ":train",
                               json::ToJson(request));
  }
  Task<StatusOr<v1::ModelVersion>> PromoteVersion(
      CallContext& context, const v1::PromoteVersionRequest& request) override {
    return Send<v1::ModelVersion>(context, http::Verb::kPost,
                                  ModelPath(request.model()) + "/versions/" +
                                      http::PercentEncode(request.version()) + ":promote",
                                  "{}");
  }
  Task<StatusOr<v1::Operation>> GetOperation(CallContext& context,
                                             const v1::GetOperationRequest& request) override {
    return Send<v1::Operation>(context, http::Verb::kGet,
                               "/v1/operations/" + http::PercentEncode(request.operation_id()), "");
  }
  Task<StatusOr<v1::Operation>> CancelOperation(
      CallContext& context, const v1::CancelOperationRequest& request) override {
    return Send<v1::Operation>(
        context, http::Verb::kPost,
        "/v1/operations/" + http::PercentEncode(request.operation_id()) + ":cancel", "{}");
  }
  Task<Status> ReadArtifact(CallContext&, const v1::ReadArtifactRequest&,
                            rpc::Stream<v1::ArtifactChunk>&) override {
    co_return PermissionDenied("artefacts are read by services, not over HTTP");
  }

 private:
  static std::string ModelPath(const std::string& model) {
    return "/v1/models/" + http::PercentEncode(model);
  }

  template <typename Response>
  Task<StatusOr<Response>> Send(CallContext& context, http::Verb verb, std::string path,
                                std::string body) {
    http::ClientRequest request{.verb = verb, .url = url_ + path, .headers = {}, .body = body};
    request.timeout = context.Remaining();
    request.headers.Set("content-type", "application/json");
    if (!key_.empty()) request.headers.Set("authorization", "Bearer " + key_);
    const StatusOr<http::ClientResponse> response = co_await client_.Send(std::move(request));
    if (!response.ok()) co_return Annotate(response.status(), url_);
    CO_RETURN_IF_ERROR(http::StatusFromHttp(response->status, response->headers, response->body));
    Response parsed;
    CO_RETURN_IF_ERROR(json::FromJson(response->body, &parsed));
    co_return parsed;
  }

  http::Client& client_;
  std::string url_;
  const std::string key_;
};

}  // namespace

std::shared_ptr<training::v1::Training> MakeRemoteTraining(http::Client& client, std::string url,
                                                           std::string key) {
  return std::make_shared<RemoteTraining>(client, std::move(url), std::move(key));
}

}  // namespace starling
