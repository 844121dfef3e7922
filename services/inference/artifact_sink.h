// Writes a streamed artefact into a file and knows whether it came whole.
//
//   ArtifactSink sink(file, pool);
//   CO_RETURN_IF_ERROR(co_await training->ReadArtifact(context, request, sink));
//   CO_RETURN_IF_ERROR(sink.Check());
#pragma once

#include <openssl/evp.h>

#include "contracts/training/v1/training.pb.h"
#include "platform/async/blocking_pool.h"
#include "platform/base/id.h"
#include "platform/rpc/service.h"
#include "platform/storage/file/durable_file.h"

namespace starling::inference {

class ArtifactSink final : public rpc::Stream<training::v1::ArtifactChunk> {
 public:
  ArtifactSink(DurableFile& file, BlockingPool& pool)
      : file_(file), pool_(pool), digest_(EVP_MD_CTX_new()) {
    EVP_DigestInit_ex(digest_, EVP_sha256(), nullptr);
  }
  ~ArtifactSink() override { EVP_MD_CTX_free(digest_); }
  ArtifactSink(const ArtifactSink&) = delete;
  ArtifactSink& operator=(const ArtifactSink&) = delete;

  Task<Status> Write(const training::v1::ArtifactChunk& chunk) override {
    if (chunk.has_version()) version_ = chunk.version();
    bytes_ += static_cast<int64_t>(chunk.data().size());
    // Not more than was told: a sender cannot fill the disk.
    if (bytes_ > version_.artifact_bytes()) {
      co_return DataLoss("the artefact has more than its {} bytes", version_.artifact_bytes());
    }
    co_return co_await pool_.Run([&]() -> Status {
      EVP_DigestUpdate(digest_, chunk.data().data(), chunk.data().size());
      return file_.Append(chunk.data());
    });
  }

  // DATA_LOSS unless every byte came as it was registered. Call it once, at the end.
  Status Check() {
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_DigestFinal_ex(digest_, hash, &size);
    if (bytes_ == version_.artifact_bytes() && bytes_ > 0 &&
        ToHex({reinterpret_cast<const char*>(hash), size}) == version_.artifact_sha256()) {
      return OkStatus();
    }
    return DataLoss("the artefact came with other bytes than were registered: {} of {}", bytes_,
                    version_.artifact_bytes());
  }
  const training::v1::ModelVersion& version() const { return version_; }

 private:
  DurableFile& file_;
  BlockingPool& pool_;
  EVP_MD_CTX* digest_;
  training::v1::ModelVersion version_;
  int64_t bytes_ = 0;
};

}  // namespace starling::inference
