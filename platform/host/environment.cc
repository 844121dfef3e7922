#include "platform/host/environment.h"

#include <mutex>

#include "platform/base/id.h"
#include "platform/storage/blob/folder.h"
#include "platform/storage/blob/s3/s3_store.h"
#include "platform/storage/file/durable_file.h"
#include "platform/storage/vector/embedded_store.h"
#include "platform/storage/vector/pgvector/pgvector_store.h"

namespace starling::host {

StatusOr<std::string> Environment::OwnGroup(std::string_view service) {
  if (!events_.FeedsViews()) return std::string(service);
  STARLING_ASSIGN_OR_RETURN(const std::filesystem::path folder, Folder(service));
  const std::filesystem::path file = folder / "instance";
  const std::lock_guard lock(own_group_);  // two views of a service that open at a time agree
  StatusOr<std::string> id = ReadWhole(file);
  if (id.status().code() == StatusCode::kNotFound) {
    id = NewId();
    STARLING_RETURN_IF_ERROR(WriteDurably(file, *id));
  }
  if (!id.ok()) return id.status();
  return std::string(service) + "." + *id;
}

StatusOr<std::unique_ptr<blob::Store>> Environment::OpenBlobs(std::string_view service,
                                                              std::string_view name) {
  const BlobStorageConfig& blob = storage_.blob;
  if (blob.engine == BlobStorageConfig::Engine::kS3) {
    auto opened = blob::OpenS3({.url = blob.url,
                                .bucket = blob.bucket,
                                .prefix = fmt::format("{}/{}/{}/", blob.prefix, service, name),
                                .region = blob.region,
                                .access_key = blob.access_key.Reveal(),
                                .secret_key = blob.secret_key.Reveal(),
                                .addressing = blob.addressing},
                               runtime_);
    if (!opened.ok()) return Annotate(opened.status(), "storage.blob");
    return opened;
  }
  STARLING_ASSIGN_OR_RETURN(const std::filesystem::path folder, data_.Path(service));
  return blob::OpenFolder(folder / name);
}

StatusOr<std::unique_ptr<vector::Store>> Environment::OpenVectors(std::string_view service,
                                                                  std::string_view name,
                                                                  vector::MakeIndex make_index) {
  const VectorStorageConfig& vectors = storage_.vector;
  if (vectors.engine == VectorStorageConfig::Engine::kPgVector) {
    std::string schema = fmt::format("{}_{}", service, name);
    std::replace(schema.begin(), schema.end(), '-', '_');
    auto opened = vector::OpenPgVector(
        {.url = vectors.url.empty() ? storage_.sql.UrlOf(service) : vectors.url.Reveal(),
         .schema = std::move(schema)});
    if (!opened.ok()) return Annotate(opened.status(), "storage.vector");
    return opened;
  }
  STARLING_ASSIGN_OR_RETURN(const std::filesystem::path folder, data_.Path(service));
  return vector::OpenEmbedded(
      {.path = folder / fmt::format("{}.sqlite", name), .make_index = std::move(make_index)},
      runtime_.blocking());
}

}  // namespace starling::host
