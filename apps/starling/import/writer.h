// Gives imported records to the services, many calls at once.
//
//   Writer writer(process);
//   STARLING_RETURN_IF_ERROR(writer.Write(std::move(batch)));     // waits while 16 are in flight
//   STARLING_RETURN_IF_ERROR(writer.Flush());                     // until all are durable
//   const Durable durable = writer.durable();                     // how far all is durable
//
// A batch that is refused because a consumer lags comes again after the pause it was told, for five
// minutes at most. The first other error ends the import: every later Write gives it. Used by one
// thread, not an io thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>

#include "apps/starling/import/records.h"
#include "contracts/catalog/v1/catalog.service.h"
#include "contracts/ingestion/v1/ingestion.service.h"
#include "contracts/profile/v1/profile.service.h"
#include "platform/host/process.h"

namespace starling::import {

// All batches up to one, in the order that they were given.
struct Durable {
  std::string after;  // of that one; "" when none since the last Flush has a position
  Told told;          // of that one
  Written written;    // since the writer was made
};

class Writer {
 public:
  explicit Writer(host::Process& process);
  ~Writer();

  Status Write(Batch batch);
  // A position is one of its stage: none is left behind a Flush.
  Status Flush();
  Durable durable();

 private:
  struct InFlight {
    std::string after;
    Told told;
    Written written;
    bool done = false;
  };
  Task<void> Send(Batch batch, InFlight* place);
  Task<Status> SendBatch(const Batch& batch, Written* written);

  Runtime& runtime_;
  std::shared_ptr<catalog::v1::Catalog> catalog_;
  std::shared_ptr<profile::v1::Profile> profile_;
  std::shared_ptr<ingestion::v1::Ingestion> ingestion_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<InFlight> in_flight_;  // in the order they were given; references stay valid
  Durable durable_;
  Status failure_;
};

}  // namespace starling::import
