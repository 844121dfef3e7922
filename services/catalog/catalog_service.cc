#include "services/catalog/catalog_service.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "embedded/catalog_migrations.h"
#include "platform/async/runtime.h"
#include "platform/base/id.h"
#include "services/catalog/product_rules.h"
#include "services/catalog/product_store.h"

namespace starling::catalog {
namespace {

constexpr int kDefaultPage = 100;
constexpr int kMaxPage = 1'000;
constexpr int kMaxBatch = 1'000;

constexpr char kDeleted[] = "starling.catalog.product.deleted.v1";
// Removals that are remembered: an older change that comes late brings nothing back.
constexpr size_t kRemembered = 10'000;

// Of the change that made the product what it is.
int64_t SequenceOf(const v1::Product& product) {
  int64_t sequence = 0;
  const std::string& etag = product.etag();
  std::from_chars(etag.data(), etag.data() + etag.size(), sequence, 16);
  return sequence;
}

Status Missing(std::string_view product_id) {
  return NotFound("product '{}' is not in the catalogue", product_id);
}

// OK when the caller named no state or the one that is.
Status CheckEtag(const v1::Product& product, std::string_view etag) {
  if (etag.empty() || etag == product.etag()) return OkStatus();
  return WithReason(
      Aborted("product '{}' has changed: its ETag is \"{}\", not \"{}\"; read it again",
              product.product_id(), product.etag(), etag),
      reason::kEtagMismatch);
}

bool Passes(const v1::Product& product, const v1::ListProductsRequest& filter) {
  if (!filter.brand().empty() && product.brand() != filter.brand()) return false;
  if (filter.availability() != v1::AVAILABILITY_UNSPECIFIED &&
      product.availability() != filter.availability()) {
    return false;
  }
  return filter.category().empty() ||
         std::find(product.categories().begin(), product.categories().end(), filter.category()) !=
             product.categories().end();
}

bool HasFilter(const v1::ListProductsRequest& request) {
  return !request.brand().empty() || !request.category().empty() ||
         request.availability() != v1::AVAILABILITY_UNSPECIFIED;
}

// A page token is the last id of the page before it, in base64url.
StatusOr<std::string> AfterOf(std::string_view page_token) {
  std::string after;
  if (!Base64UrlDecode(page_token, after)) {
    return InvalidField("page_token", "'{}' was not given by this list; begin without one",
                        page_token);
  }
  return after;
}

v1::ListProductsResponse Page(const Catalogue& catalogue, const v1::ListProductsRequest& request,
                              std::string_view after, int size) {
  v1::ListProductsResponse page;
  const bool filtered = HasFilter(request);
  bool more = false;
  catalogue.ForEachAfter(after, [&](const v1::Product& product) {
    if (filtered && !Passes(product, request)) return true;
    if (page.products_size() == size) {
      more = true;
      return false;
    }
    *page.add_products() = product;
    return true;
  });
  if (more)
    page.set_next_page_token(Base64UrlEncode(page.products(page.products_size() - 1).product_id()));
  int total = static_cast<int>(catalogue.size());
  if (filtered) {
    total = 0;
    catalogue.ForEachAfter("", [&](const v1::Product& product) {
      total += Passes(product, request) ? 1 : 0;
      return true;
    });
  }
  page.set_total_size(total);
  return page;
}

}  // namespace

StatusOr<std::shared_ptr<CatalogService>> CatalogService::Create(host::Environment& environment) {
  STARLING_ASSIGN_OR_RETURN(auto database, environment.OpenDatabase("catalog", kMigrations));
  STARLING_ASSIGN_OR_RETURN(auto outbox, environment.OpenOutbox(*database));
  auto service =
      std::make_shared<CatalogService>(std::move(database), std::move(outbox), environment);
  if (!service->database_->IsShared()) STARLING_RETURN_IF_ERROR(service->Load());
  return service;
}

CatalogService::CatalogService(std::unique_ptr<sql::Database> database,
                               std::unique_ptr<messaging::Outbox> outbox,
                               host::Environment& environment)
    : environment_(environment), database_(std::move(database)), outbox_(std::move(outbox)) {}

Status CatalogService::Load() {
  Catalogue::Changes products;
  int64_t sequence = 0;
  STARLING_RETURN_IF_ERROR(database_->ReadSync([&](sql::Connection& connection) -> Status {
    STARLING_RETURN_IF_ERROR(connection.Query("SELECT sequence FROM catalogue WHERE id = 1",
                                              [&](const sql::Row& row) { sequence = row.Int(0); }));
    return connection.Query(
        "SELECT product_id, data FROM products ORDER BY product_id",
        [&](const sql::Row& row) -> Status {
          auto product = std::make_shared<v1::Product>();
          const std::string_view data = row.Bytes(1);
          if (!product->ParseFromArray(data.data(), static_cast<int>(data.size()))) {
            return DataLoss(
                "the row of product '{}' is damaged; restore the catalogue's database from a "
                "backup",
                row.Text(0));
          }
          products.emplace_hint(products.end(), std::string(row.Text(0)), std::move(product));
          return OkStatus();
        });
  }));
  snapshot_.store(std::make_shared<const Catalogue>(Catalogue().With(products, sequence)));
  loaded_ = true;
  return OkStatus();
}

Status CatalogService::Start() {
  outbox_->Start();
  if (!database_->IsShared()) return OkStatus();
  STARLING_ASSIGN_OR_RETURN(
      changes_, environment_.Follow(
                    "catalog", "catalog", {.max_batch = kMaxBatch},
                    [this](std::span<const messaging::Delivered> events) { return Hear(events); }));
  return Load();  // what came before the first event that is heard
}

void CatalogService::Stop() {
  changes_.reset();
  outbox_->Stop();
}

Task<Status> CatalogService::Hear(std::span<const messaging::Delivered> events) {
  if (!loaded_) co_return Unavailable("the catalogue is being loaded");  // they come again
  for (const messaging::Delivered& delivered : events) {
    v1::ProductChanged changed;
    if (!changed.ParseFromString(delivered.event.data)) continue;  // consumers set it aside
    Catalogue::Changes changes;
    const std::string id = changed.product().product_id();
    changes[id] = delivered.event.type == kDeleted
                      ? nullptr
                      : std::make_shared<const v1::Product>(std::move(*changed.mutable_product()));
    Publish(changes, changed.sequence());
  }
  co_return OkStatus();
}

void CatalogService::Publish(const Catalogue::Changes& changes, int64_t sequence) {
  const std::lock_guard lock(publishing_);
  const std::shared_ptr<const Catalogue> before = snapshot_.load();
  Catalogue::Changes news;
  for (const auto& [id, product] : changes) {
    const auto removed = removed_.find(id);
    const v1::Product* const known = before->Find(id);
    const int64_t newest = std::max(removed == removed_.end() ? 0 : removed->second,
                                    known == nullptr ? 0 : SequenceOf(*known));
    if (product == nullptr ? sequence <= newest : SequenceOf(*product) <= newest) continue;
    if (product == nullptr) {
      if (removed_.size() >= kRemembered) removed_.clear();
      removed_[id] = sequence;
    }
    if (product != nullptr || known != nullptr) news.emplace(id, product);
  }
  if (news.empty()) return;
  snapshot_.store(std::make_shared<const Catalogue>(
      before->With(news, std::max(sequence, before->sequence()))));
}

// `change(ProductChanges&)` runs in one transaction; what it changed is published once that is
// durable.
template <typename Result, typename Change>
Task<StatusOr<Result>> CatalogService::Write(CallContext& context, Change change) {
  const std::string traceparent = context.trace.ToTraceparent();
  co_return co_await database_->Write([&](sql::Transaction& transaction) -> StatusOr<Result> {
    ProductChanges changes(transaction, *outbox_, environment_.clock().Now(), traceparent);
    StatusOr<Result> result = change(changes);
    if (result.ok() && !changes.changes().empty()) {
      transaction.OnCommit([this, done = changes.changes(), sequence = changes.sequence()] {
        Publish(done, sequence);
      });
    }
    return result;
  });
}

Task<StatusOr<v1::Product>> CatalogService::CreateProduct(CallContext& context,
                                                          const v1::CreateProductRequest& request) {
  CO_RETURN_IF_ERROR(CheckProduct(request.product()));
  co_return co_await Write<v1::Product>(
      context, [&](ProductChanges& changes) -> StatusOr<v1::Product> {
        STARLING_ASSIGN_OR_RETURN(const auto old, changes.Find(request.product().product_id()));
        if (old) {
          return AlreadyExists("product '{}' exists already; change it with PUT or PATCH",
                               old->product_id());
        }
        return changes.Put(request.product(), nullptr);
      });
}

Task<StatusOr<v1::Product>> CatalogService::PutProduct(CallContext& context,
                                                       const v1::PutProductRequest& request) {
  CO_RETURN_IF_ERROR(CheckProduct(request.product()));
  co_return co_await Write<v1::Product>(
      context, [&](ProductChanges& changes) -> StatusOr<v1::Product> {
        STARLING_ASSIGN_OR_RETURN(const auto old, changes.Find(request.product().product_id()));
        const std::string& etag = request.product().etag();
        if (!old && !etag.empty()) {
          return WithReason(Aborted("product '{}' does not exist, so it has no ETag \"{}\"",
                                    request.product().product_id(), etag),
                            reason::kEtagMismatch);
        }
        if (old) STARLING_RETURN_IF_ERROR(CheckEtag(*old, etag));
        if (old && SameContent(*old, request.product())) return *old;
        return changes.Put(request.product(), old ? &*old : nullptr);
      });
}

Task<StatusOr<v1::Product>> CatalogService::UpdateProduct(CallContext& context,
                                                          const v1::UpdateProductRequest& request) {
  CO_RETURN_IF_ERROR(CheckProductId(request.product().product_id(), "product_id"));
  if (request.update_mask().paths().empty()) {
    co_return InvalidField("update_mask", "names no field; name those to change, or '*' for all");
  }
  co_return co_await Write<v1::Product>(
      context, [&](ProductChanges& changes) -> StatusOr<v1::Product> {
        STARLING_ASSIGN_OR_RETURN(const auto old, changes.Find(request.product().product_id()));
        if (!old) return Missing(request.product().product_id());
        STARLING_RETURN_IF_ERROR(CheckEtag(*old, request.product().etag()));
        v1::Product product = *old;
        STARLING_RETURN_IF_ERROR(ApplyMask(request.product(), request.update_mask(), product));
        STARLING_RETURN_IF_ERROR(CheckProduct(product));
        if (SameContent(*old, product)) return *old;
        return changes.Put(std::move(product), &*old);
      });
}

Task<StatusOr<google::protobuf::Empty>> CatalogService::DeleteProduct(
    CallContext& context, const v1::DeleteProductRequest& request) {
  using google::protobuf::Empty;
  CO_RETURN_IF_ERROR(CheckProductId(request.product_id(), "product_id"));
  co_return co_await Write<Empty>(context, [&](ProductChanges& changes) -> StatusOr<Empty> {
    STARLING_ASSIGN_OR_RETURN(const auto old, changes.Find(request.product_id()));
    if (!old) return Missing(request.product_id());
    STARLING_RETURN_IF_ERROR(CheckEtag(*old, request.etag()));
    STARLING_RETURN_IF_ERROR(changes.Remove(request.product_id()));
    return Empty();
  });
}

Task<StatusOr<v1::Product>> CatalogService::GetProduct(CallContext&,
                                                       const v1::GetProductRequest& request) {
  if (database_->IsShared()) {
    StatusOr<std::optional<v1::Product>> found = co_await database_->Read(
        [&](sql::Connection& connection) { return FindProduct(connection, request.product_id()); });
    if (found.ok() && found->has_value()) co_return **std::move(found);
    if (found.ok()) co_return Missing(request.product_id());
    if (found.status().code() != StatusCode::kUnavailable) co_return found.status();
    // The server is away: what is in memory is better than nothing.
  }
  const auto catalogue = snapshot_.load();
  const v1::Product* product = catalogue->Find(request.product_id());
  if (product == nullptr) co_return Missing(request.product_id());
  co_return *product;
}

Task<StatusOr<v1::ListProductsResponse>> CatalogService::ListProducts(
    CallContext&, const v1::ListProductsRequest& request) {
  if (request.page_size() < 0 || request.page_size() > kMaxPage) {
    co_return InvalidField("page_size", "{} is outside 0 to {}", request.page_size(), kMaxPage);
  }
  CO_ASSIGN_OR_RETURN(const std::string after, AfterOf(request.page_token()));
  const int size = request.page_size() == 0 ? kDefaultPage : request.page_size();
  const auto catalogue = snapshot_.load();
  if (!HasFilter(request)) co_return Page(*catalogue, request, after, size);
  // A filter looks at every product: too long for an io thread.
  co_return co_await environment_.runtime().blocking().Run(
      [&]() -> StatusOr<v1::ListProductsResponse> {
        return Page(*catalogue, request, after, size);
      });
}

Task<StatusOr<v1::BatchGetProductsResponse>> CatalogService::BatchGetProducts(
    CallContext&, const v1::BatchGetProductsRequest& request) {
  if (request.product_ids_size() > kMaxBatch) {
    co_return InvalidField("product_ids", "has {} ids; at most {} are taken",
                           request.product_ids_size(), kMaxBatch);
  }
  CO_ASSIGN_OR_RETURN(const ProductFields fields, ParseReadMask(request.read_mask()));
  const auto catalogue = snapshot_.load();
  v1::BatchGetProductsResponse response;
  response.mutable_products()->Reserve(request.product_ids_size());
  for (const std::string& id : request.product_ids()) {
    if (const v1::Product* product = catalogue->Find(id); product != nullptr) {
      CopyFields(*product, fields, *response.add_products());
    } else {
      response.add_missing_product_ids(id);
    }
  }
  co_return response;
}

Task<StatusOr<v1::BatchUpsertProductsResponse>> CatalogService::BatchUpsertProducts(
    CallContext& context, const v1::BatchUpsertProductsRequest& request) {
  using Response = v1::BatchUpsertProductsResponse;
  if (request.products_size() > kMaxBatch) {
    co_return InvalidField("products", "has {} products; at most {} are taken",
                           request.products_size(), kMaxBatch);
  }
  std::vector<FieldViolation> violations;
  std::set<std::string_view> ids;
  for (int i = 0; i < request.products_size(); ++i) {
    for (FieldViolation& violation :
         ProductViolations(request.products(i), fmt::format("products[{}].", i))) {
      violations.push_back(std::move(violation));
    }
    if (!ids.insert(request.products(i).product_id()).second) {
      violations.push_back({fmt::format("products[{}].product_id", i),
                            fmt::format("'{}' comes twice", request.products(i).product_id())});
    }
  }
  if (!violations.empty()) co_return InvalidFields(std::move(violations));
  co_return co_await Write<Response>(context, [&](ProductChanges& changes) -> StatusOr<Response> {
    Response response;
    const std::vector<std::string_view> wanted(ids.begin(), ids.end());
    STARLING_ASSIGN_OR_RETURN(const auto found, changes.FindAll(wanted));
    for (const v1::Product& product : request.products()) {
      const auto at = found.find(product.product_id());
      const v1::Product* const old = at == found.end() ? nullptr : &at->second;
      if (old != nullptr && SameContent(*old, product)) {
        response.set_unchanged(response.unchanged() + 1);
        continue;
      }
      if (old != nullptr) STARLING_RETURN_IF_ERROR(CheckEtag(*old, product.etag()));
      STARLING_RETURN_IF_ERROR(changes.Put(product, old).status());
      if (old != nullptr) {
        response.set_updated(response.updated() + 1);
      } else {
        response.set_created(response.created() + 1);
      }
    }
    return response;
  });
}

Task<Status> CatalogService::ExportProducts(CallContext& context, const v1::ExportProductsRequest&,
                                            rpc::Stream<v1::Product>& out) {
  const auto catalogue = snapshot_.load();
  std::string after;
  while (true) {
    // By pieces, so that the io thread does other work in between.
    std::vector<const v1::Product*> piece;
    catalogue->ForEachAfter(after, [&](const v1::Product& product) {
      piece.push_back(&product);
      return piece.size() < 64;
    });
    if (piece.empty()) co_return OkStatus();
    for (const v1::Product* product : piece) {
      if (context.Cancelled()) co_return Cancelled("the caller is gone");
      CO_RETURN_IF_ERROR(co_await out.Write(*product));
    }
    after = piece.back()->product_id();
  }
}

}  // namespace starling::catalog
