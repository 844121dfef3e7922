-- The products as they are now, as serialised starling.catalog.v1.Product.
CREATE TABLE products (
  product_id TEXT PRIMARY KEY NOT NULL,
  data BLOB NOT NULL
) WITHOUT ROWID;

-- One row: how many changes there have been.
CREATE TABLE catalogue (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  sequence INTEGER NOT NULL
);
INSERT INTO catalogue (id, sequence) VALUES (1, 0);
