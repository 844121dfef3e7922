// The services that recommendation asks, for its tests: their answers and moods are set by the
// test.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "contracts/catalog/v1/catalog.service.h"
#include "contracts/features/v1/features.service.h"
#include "contracts/inference/v1/inference.service.h"
#include "contracts/profile/v1/profile.service.h"

namespace starling::recommendation {

using catalog::v1::Product;
using rpc::CallContext;

// What a neighbour does when it is asked.
struct Mood {
  Status failure;
  Duration delay{};
  int calls = 0;

  template <typename T>
  Task<StatusOr<T>> Answer(T answer) {
    ++calls;
    if (delay > Duration(0)) co_await SleepFor(delay);
    if (!failure.ok()) co_return failure;
    co_return answer;
  }
};

// Neighbours whose answers and moods the test sets. Only what recommendation asks is answered.
class FakeProfile final : public profile::v1::Profile {
 public:
  using Empty = google::protobuf::Empty;
  Task<StatusOr<profile::v1::GetHistoryResponse>> GetHistory(
      CallContext&, const profile::v1::GetHistoryRequest& request) override {
    asked_after.push_back(request.has_after() ? request.after().seconds() : -1);
    profile::v1::GetHistoryResponse newest;
    for (const auto& interaction : histories[request.user_id()].interactions()) {
      if (interaction.occurred_at().seconds() > asked_after.back() &&
          newest.interactions_size() < request.limit())
        *newest.add_interactions() = interaction;
    }
    return mood.Answer(std::move(newest));
  }
#define STARLING_NOT_ASKED(Response, Method, Request)                      \
  Task<StatusOr<Response>> Method(CallContext&, const Request&) override { \
    co_return Unimplemented("recommendation does not ask this");           \
  }
  STARLING_NOT_ASKED(profile::v1::User, GetUser, profile::v1::GetUserRequest)
  STARLING_NOT_ASKED(profile::v1::User, UpdateUser, profile::v1::UpdateUserRequest)
  STARLING_NOT_ASKED(Empty, DeleteUser, profile::v1::DeleteUserRequest)
  STARLING_NOT_ASKED(profile::v1::ListUsersResponse, ListUsers, profile::v1::ListUsersRequest)
  STARLING_NOT_ASKED(Empty, SetPassword, profile::v1::SetPasswordRequest)
  STARLING_NOT_ASKED(profile::v1::Session, CreateSession, profile::v1::CreateSessionRequest)
  STARLING_NOT_ASKED(profile::v1::Session, CreateSessionForUser,
                     profile::v1::CreateSessionForUserRequest)
  STARLING_NOT_ASKED(Empty, DeleteCurrentSession, profile::v1::DeleteCurrentSessionRequest)
  STARLING_NOT_ASKED(profile::v1::ResolvedSession, ResolveSession,
                     profile::v1::ResolveSessionRequest)
  std::map<std::string, profile::v1::GetHistoryResponse> histories;
  std::vector<int64_t> asked_after;  // -1: everything
  Mood mood;
};

class FakeCatalog final : public catalog::v1::Catalog {
 public:
  using Empty = google::protobuf::Empty;
  Task<StatusOr<catalog::v1::BatchGetProductsResponse>> BatchGetProducts(
      CallContext&, const catalog::v1::BatchGetProductsRequest& request) override {
    catalog::v1::BatchGetProductsResponse response;
    asked.emplace_back(request.product_ids().begin(), request.product_ids().end());
    for (const std::string& id : request.product_ids()) {
      if (products.contains(id)) *response.add_products() = products[id];
    }
    return mood.Answer(std::move(response));
  }
  STARLING_NOT_ASKED(Product, CreateProduct, catalog::v1::CreateProductRequest)
  STARLING_NOT_ASKED(Product, PutProduct, catalog::v1::PutProductRequest)
  STARLING_NOT_ASKED(Product, UpdateProduct, catalog::v1::UpdateProductRequest)
  STARLING_NOT_ASKED(Empty, DeleteProduct, catalog::v1::DeleteProductRequest)
  STARLING_NOT_ASKED(Product, GetProduct, catalog::v1::GetProductRequest)
  Task<StatusOr<catalog::v1::ListProductsResponse>> ListProducts(
      CallContext&, const catalog::v1::ListProductsRequest&) override {
    catalog::v1::ListProductsResponse response;
    for (const auto& [id, product] : products) *response.add_products() = product;
    return mood.Answer(std::move(response));
  }
  STARLING_NOT_ASKED(catalog::v1::BatchUpsertProductsResponse, BatchUpsertProducts,
                     catalog::v1::BatchUpsertProductsRequest)
  Task<Status> ExportProducts(CallContext&, const catalog::v1::ExportProductsRequest&,
                              rpc::Stream<Product>&) override {
    co_return OkStatus();
  }
  std::map<std::string, Product> products;
  std::vector<std::vector<std::string>> asked;
  Mood mood;
};

class FakeFeatures final : public features::v1::Features {
 public:
  Task<StatusOr<features::v1::ListPopularResponse>> ListPopular(
      CallContext&, const features::v1::ListPopularRequest&) override {
    return mood.Answer(popular);
  }
  STARLING_NOT_ASKED(features::v1::ListFeaturesResponse, ListFeatures,
                     features::v1::ListFeaturesRequest)
  STARLING_NOT_ASKED(features::v1::ReadFeaturesResponse, ReadFeatures,
                     features::v1::ReadFeaturesRequest)
  STARLING_NOT_ASKED(features::v1::ReadAffinitiesResponse, ReadAffinities,
                     features::v1::ReadAffinitiesRequest)
  STARLING_NOT_ASKED(features::v1::Statistics, GetStatistics, features::v1::GetStatisticsRequest)
  Task<Status> ExportInteractions(CallContext&, const features::v1::ExportInteractionsRequest&,
                                  rpc::Stream<features::v1::UserInteractions>&) override {
    co_return OkStatus();
  }
  features::v1::ListPopularResponse popular;
  Mood mood;
};

class FakeInference final : public inference::v1::Inference {
 public:
  Task<StatusOr<inference::v1::RecommendResponse>> Recommend(
      CallContext&, const inference::v1::RecommendRequest& request) override {
    asked = request;
    if (!missing_version.empty() && request.version() == missing_version)
      co_return NotFound("there is no version '{}'", missing_version);
    inference::v1::RecommendResponse answer = ranked;
    auto& products = *answer.mutable_products();
    const auto& excluded = request.excluded_ids();
    products.erase(std::remove_if(products.begin(), products.end(),
                                  [&](const auto& product) {
                                    return std::find(excluded.begin(), excluded.end(),
                                                     product.product_id()) != excluded.end();
                                  }),
                   products.end());
    co_return co_await mood.Answer(std::move(answer));
  }
  Task<StatusOr<inference::v1::ListNearestResponse>> ListNearest(
      CallContext&, const inference::v1::ListNearestRequest& request) override {
    asked_nearest = request;
    co_return co_await nearest_mood.Answer(inference::v1::ListNearestResponse(nearest));
  }
  STARLING_NOT_ASKED(inference::v1::ListLoadedModelsResponse, ListLoadedModels,
                     inference::v1::ListLoadedModelsRequest)
  inference::v1::RecommendResponse ranked;
  inference::v1::RecommendRequest asked;
  std::string missing_version;
  inference::v1::ListNearestResponse nearest;
  std::optional<inference::v1::ListNearestRequest> asked_nearest;
  Mood mood, nearest_mood;
};
#undef STARLING_NOT_ASKED

}  // namespace starling::recommendation
