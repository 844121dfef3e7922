// What an import brings, and the two sides that it passes between.
//
// A Reader turns foreign files into products, users and events, in that order; a Writer gives them
// to the services by their contracts. Both work in batches, so memory is bounded whatever the file.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "contracts/catalog/v1/catalog.pb.h"
#include "contracts/ingestion/v1/ingestion.pb.h"
#include "contracts/profile/v1/profile.pb.h"
#include "platform/base/status.h"
#include "platform/tabular/reject_file.h"

namespace starling::import {

// What was found besides records: "cancellations that undid a purchase" -> 9,839.
using Findings = std::map<std::string, int64_t>;

// What people had been told of the rows up to a position: kept with it, so that an import that was
// cut tells each row once.
struct Told {
  tabular::RejectMark rejects;
  Findings findings;
};

// What the services took in.
struct Written {
  int64_t products_created = 0, products_updated = 0, products_unchanged = 0;
  int64_t users = 0;
  int64_t events = 0;
  void Add(const Written& more) {
    products_created += more.products_created;
    products_updated += more.products_updated;
    products_unchanged += more.products_unchanged;
    users += more.users;
    events += more.events;
  }
};

// Up to a thousand records of one kind.
struct Batch {
  std::vector<catalog::v1::Product> products;
  std::vector<profile::v1::User> users;
  std::vector<ingestion::v1::UserEvent> events;
  // Where to go on once this batch is durable; "" when the stage must begin anew.
  std::string after;
  Told told;          // as it was there; the import fills it in, not the reader
  bool last = false;  // of its stage

  size_t size() const { return products.size() + users.size() + events.size(); }
};

// How far a reader is in its stage, for the progress bar.
struct StageProgress {
  std::string stage;  // "reading", "products", "users", "events"
  int64_t rows = 0;
  double fraction = 0;  // 0 to 1
};

// Whether what a stage finds is told, or was before the import was cut: a stage that gathers is run
// again when a later one goes on.
enum class Telling { kTell, kToldBefore };

class Reader {
 public:
  virtual ~Reader() = default;
  // Names the stages that come, in order; each may be resumed at a position that Batch::after gave.
  virtual std::vector<std::string> Stages() const = 0;
  // Begins a stage, at `position` or ("") at its beginning.
  virtual Status Begin(const std::string& stage, const std::string& position, Telling telling) = 0;
  // The next batch, which may be empty; until one is the last.
  virtual StatusOr<Batch> Next() = 0;
  virtual StageProgress progress() const = 0;
  // Since it was made, without what was told before.
  virtual const Findings& findings() const = 0;
};

}  // namespace starling::import
