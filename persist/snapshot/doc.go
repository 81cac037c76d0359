// Package snapshot keeps snapshots of the dataset in files. It knows nothing of what is in
// them: they are blocks of bytes with a number of keys.
//
// A snapshot is a file of blocks per shard, and a manifest, which is written last:
// what has no manifest is not there.
//
//	snapshot-000012-0000.hks   header │ block │ block │ … │ end
//	snapshot-000012-0001.hks
//	snapshot-000012.json       what there is, and from where on the journal is to be repeated
//
// Every header, block and manifest has a checksum, and the end of a file says what has to
// be before it. So damage is found, and named, before any of the block is used.
//
// Start with Store in store.go, then Writer.Write in writer.go and Store.Read in
// reader.go; block.go has the format.
package snapshot
