// UCI Online Retail and Online Retail II: invoices of a British gift shop.
//
// https://archive.ics.uci.edu/dataset/502/online+retail+ii. Columns are found by the names of
// either edition. What is done with its dirt:
//
//   stock code does not begin with five digits   fees, postage, vouchers: no product, counted
//   invoice begins with C                        a cancellation: undoes as many of the customer's
//                                                earlier purchases of the product, oldest first
//   quantity below 0 without a C                 a correction of the stock: counted
//   no customer                                  a purchase by nobody: event without user_id, its
//                                                property `basket` is the invoice
//   several descriptions                         the latest that names a product (NamesAProduct)
//
// Two passes: the first gathers products, customers and cancellations (memory: those), the second
// gives the purchases. An event's id is the invoice, the product and which line of the invoice with
// that product it is, so that a file imported again, or a newer edition of it, changes nothing.
#pragma once

#include <memory>
#include <string>

#include "apps/starling/import/records.h"
#include "platform/tabular/reject_file.h"

namespace starling::import {

StatusOr<std::unique_ptr<Reader>> ReadOnlineRetail(const std::string& file,
                                                   tabular::RejectFile& rejects);

}  // namespace starling::import
