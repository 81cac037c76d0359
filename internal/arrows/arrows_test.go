package arrows

import (
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "hyperkv"

// allowed says for each package of ours which of our packages it may import. The
// longest pattern that fits a package counts; * stands for one folder, ... for
// everything below. What lies under internal is open to all, within its own rows.
//
//	cmd ─► engine/embedded ─► engine/family ─► engine ─► shard ─► shard/keyspace ─► shard/object ─► shard/ds
//	cmd ─► netio, netio/admin, migrate, bench   the outside world: sockets
//	cmd ─► persist/journal ─► persist/wal ─► persist/disk   and the disk
//	cmd ─► persist/snapshot, persist/datadir ─► persist/disk
//	cmd, engine/embedded ─► engine/durable ─► engine, persist   where the engine meets the disk
//	cmd ─► cluster/replication                  and other servers
//	all of these ─► resp, internal
var allowed = []struct {
	pkg string
	may []string
}{
	{"cmd/...", []string{"..."}},

	// The server family shows what the family of keys knows about a key.
	{"engine/server", []string{"engine/keys", "engine/snapshot", "engine", "shard", "shard/keyspace", "shard/object", "resp", "internal/..."}},
	{"engine/embedded", []string{"engine/*", "engine", "resp", "internal/..."}},
	// Where the engine meets what keeps its data.
	{"engine/durable", []string{"engine", "engine/snapshot", "persist/journal", "persist/snapshot", "persist/datadir", "persist/disk",
		"shard", "resp", "internal/..."}},
	// What keys and snapshots share: values in the format of RDB files.
	{"engine/values", []string{"shard", "shard/keyspace", "shard/object", "internal/rdb"}},
	{"engine/keys", []string{"engine", "engine/values", "shard", "shard/keyspace", "shard/object", "resp", "internal/..."}},
	{"engine/snapshot", []string{"engine", "engine/values", "shard", "shard/keyspace", "shard/object", "resp", "internal/..."}},
	// What comes from Redis and goes there; snapshots are what it writes.
	{"engine/interchange", []string{"engine", "engine/snapshot", "engine/values", "shard", "resp", "internal/..."}},
	{"engine/*", []string{"engine", "shard", "shard/keyspace", "shard/object", "resp", "internal/..."}},
	{"engine", []string{"shard", "resp", "internal/..."}},
	{"shard", []string{"shard/keyspace", "shard/object", "resp", "internal/..."}},
	{"shard/keyspace", []string{"shard/object", "shard/ds", "internal/..."}},
	{"shard/object", []string{"shard/ds", "resp", "internal/..."}},
	{"shard/ds", []string{"internal/..."}},

	{"netio", nil},
	{"netio/admin", []string{"internal/..."}},
	{"persist/journal", []string{"persist/wal", "persist/disk", "internal/..."}},
	{"persist/snapshot", []string{"persist/disk", "internal/..."}},
	{"persist/datadir", []string{"persist/disk"}},
	{"persist/wal", []string{"persist/disk", "internal/..."}},
	{"persist/disk/frail", []string{"persist/disk"}},
	{"persist/disk", nil},
	{"cluster/replication", []string{"resp", "internal/..."}},
	{"bench", []string{"resp", "internal/..."}},
	// Datasets on their way between servers and files, without an engine.
	{"migrate", []string{"resp", "internal/..."}},
	{"resp", []string{"internal/invariant"}},

	// What everybody may import imports nothing of ours.
	{"internal/clock", nil},
	{"internal/invariant", nil},
	{"internal/glob", nil},
	{"internal/rdb", nil},
	{"internal/aof", []string{"internal/rdb", "resp"}},
	// redis.conf is split into words as a client's line is.
	{"internal/config", []string{"internal/glob", "resp"}},
	// The tools of tests know the protocol and nothing of what they test.
	{"internal/testkit", []string{"resp", "internal/invariant"}},
	{"internal/difftest", []string{"internal/testkit", "internal/rdb", "resp", "internal/invariant"}},
	// But for the one that runs the families, which its user hands in.
	{"internal/familykit", []string{"engine", "shard", "resp", "internal/..."}},
	{"internal/arrows", nil},
}

// forTests are imported by tests only.
var forTests = []string{"internal/testkit", "internal/difftest", "internal/familykit", "persist/disk/frail"}

// doors names for each third-party library the one package that lets it in. Tests
// may use what they like.
var doors = map[string]string{
	"github.com/panjf2000/gnet/v2":             "netio",
	"github.com/cespare/xxhash/v2":             "shard/ds",
	"github.com/VictoriaMetrics/metrics":       "netio/admin",
	"github.com/knadh/koanf/v2":                "internal/config",
	"go.yaml.in/yaml/v3":                       "internal/config",
	"github.com/knadh/koanf/providers/env/v2":  "internal/config",
	"github.com/knadh/koanf/providers/file":    "internal/config",
	"github.com/knadh/koanf/providers/posflag": "internal/config",
	"github.com/spf13/cobra":                   "cmd/hyperkv",
	"github.com/coreos/go-systemd/v22":         "cmd/hyperkv",
	"github.com/KimMachineGun/automemlimit":    "internal/config",
	"github.com/klauspost/compress":            "persist/snapshot",
	"github.com/HdrHistogram/hdrhistogram-go":  "bench",
	"github.com/anishathalye/porcupine":        "internal/testkit",
}

// everywhere are libraries that stand in for the standard one.
var everywhere = []string{"golang.org/x/sys", "github.com/spf13/pflag"}

// listed is what go list says of a package.
type listed struct {
	ImportPath string
	Imports    []string
}

// packages lists all packages of the module, with and without the given build tag.
func packages(t *testing.T, tags string) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-tags", tags, "-json=ImportPath,Imports", module+"/...")
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, complaint.String())
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 20 {
		t.Fatalf("only %d packages are listed", len(all))
	}
	return all
}

func TestArrows(t *testing.T) {
	used := map[string]bool{}
	for _, tags := range []string{"", "invariants,poll_opt"} {
		for _, p := range packages(t, tags) {
			pkg, ours := strings.CutPrefix(p.ImportPath, module+"/")
			if !ours {
				t.Errorf("%s: the module has no package at its root", p.ImportPath)
				continue
			}
			may, known := row(pkg)
			if !known {
				t.Errorf("%s is a new package: give it a row, and a place in the drawing", pkg)
				continue
			}
			for _, imported := range p.Imports {
				if to, ours := strings.CutPrefix(imported, module+"/"); ours {
					if complaint := judge(pkg, to, may); complaint != "" {
						t.Error(complaint)
					}
					continue
				}
				if library, door := enters(imported); library != "" {
					used[library] = true
					if door != pkg {
						t.Errorf("%s imports %s, which enters by %s", pkg, imported, door)
					}
				} else if strings.Contains(strings.Split(imported, "/")[0], ".") && !isEverywhere(imported) {
					t.Errorf("%s imports %s, which has no door", pkg, imported)
				}
			}
		}
	}
	for library, door := range doors {
		if !used[library] {
			t.Logf("%s, for which %s is the door, is not used", library, door)
		}
	}
}

func judge(pkg, to string, may []string) string {
	if slices.Contains(forTests, to) && !slices.Contains(forTests, pkg) {
		return fmt.Sprintf("%s imports %s outside of its tests", pkg, to)
	}
	for _, pattern := range may {
		if fits(pattern, to) {
			return ""
		}
	}
	return fmt.Sprintf("%s must not import %s", pkg, to)
}

// row finds the longest pattern that fits a package.
func row(pkg string) (may []string, known bool) {
	longest := -1
	for _, r := range allowed {
		if fits(r.pkg, pkg) && len(strings.TrimRight(r.pkg, ".*")) > longest {
			longest, may, known = len(strings.TrimRight(r.pkg, ".*")), r.may, true
		}
	}
	return may, known
}

func fits(pattern, pkg string) bool {
	if below, any := strings.CutSuffix(pattern, "..."); any {
		return below == "" || pkg == strings.TrimSuffix(below, "/") || strings.HasPrefix(pkg, below)
	}
	ok, _ := path.Match(pattern, pkg)
	return ok
}

func enters(imported string) (library, door string) {
	for l, d := range doors {
		if imported == l || strings.HasPrefix(imported, l+"/") {
			return l, d
		}
	}
	return "", ""
}

func isEverywhere(imported string) bool {
	for _, l := range everywhere {
		if imported == l || strings.HasPrefix(imported, l+"/") {
			return true
		}
	}
	return false
}

// The test would notice.
func TestJudge(t *testing.T) {
	f := func(pkg, to string, want bool) {
		t.Helper()
		may, known := row(pkg)
		if got := known && judge(pkg, to, may) == ""; got != want {
			t.Errorf("%s ─► %s: allowed is %v", pkg, to, got)
		}
	}
	f("cmd/hyperkv", "netio/admin", true)
	f("engine/embedded", "engine/strings", true)
	f("engine/strings", "shard/object", true)
	f("engine/strings", "internal/glob", true)
	f("shard", "shard/keyspace", true)
	f("engine/strings", "engine/keys", false)
	f("engine/strings", "engine/embedded", false)
	f("engine", "engine/strings", false)
	f("engine", "shard/keyspace", false)
	f("shard", "engine", false)
	f("shard/keyspace", "shard", false)
	f("netio", "engine", false)
	f("cluster/replication", "engine", false)
	f("cluster/replication", "netio", false)
	f("cluster/replication", "resp", true)
	f("migrate", "engine", false)
	f("migrate", "internal/rdb", true)
	f("netio", "resp", false)
	f("netio/admin", "shard", false)
	f("bench", "engine", false)
	f("resp", "shard", false)
	f("internal/clock", "resp", false)
	f("internal/testkit", "engine", false)
	f("internal/familykit", "engine", true)
	f("internal/familykit", "engine/strings", false)
	f("engine/strings", "internal/familykit", false)
	f("engine", "internal/testkit", false)
	f("persist", "resp", false) // no row yet
}
