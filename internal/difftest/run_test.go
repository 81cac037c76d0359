package difftest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hyperkv/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func endpoint(t *testing.T) Endpoint {
	t.Helper()
	s := testkit.StartRedis(t)
	if s == nil {
		t.Skip("no redis-server")
	}
	return Endpoint{s.Network, s.Addr}
}

// everything is all families, with the types that only the reference has for now.
func everything() []Family { return append([]Family{Others}, Families...) }

// commands is how much the fuzzer's own tests compare: little by default, because
// they prove the fuzzer and not a server. HYPERKV_FUZZ_PROOF sets it.
func commands(t *testing.T) int {
	t.Helper()
	n := 20_000
	fromEnvironment(t, "PROOF", func(text string) (err error) {
		n, err = strconv.Atoi(text)
		return err
	})
	return n
}

// TestAgreement: two servers of the same kind never disagree, or the rules are too
// strict and every finding is in doubt.
func TestAgreement(t *testing.T) {
	report, err := Run(context.Background(), Config{
		HyperKV: endpoint(t), Redis: endpoint(t), Seed: uint64(time.Now().UnixNano()),
		Commands: commands(t), Families: everything(), Logf: t.Logf,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report)
	if report.Errors > report.Commands/2 {
		t.Error("most commands are errors, which proves little")
	}
}

// TestLie: a server that answers one in 10,000 commands wrongly is found out, and
// the story is short.
func TestLie(t *testing.T) {
	honest, other := endpoint(t), endpoint(t)
	var told atomic.Int64
	report, err := Run(context.Background(), Config{
		HyperKV: newLiar(t, other, sometimes(10_000, &told)), Redis: honest, Seed: 1,
		Commands: 500_000, Duration: time.Minute, Logf: t.Logf,
	})
	var d *Divergence
	if !errors.As(err, &d) {
		t.Fatalf("%d lies in %v were not found: %v", told.Load(), report, err)
	}
	t.Logf("%v\n%v", report, d)
	if !d.Reproducible || len(d.Steps) > 12 {
		t.Errorf("not shrunk: %d steps", len(d.Steps))
	}
}

// TestLieOnce: what cannot be reproduced is reported all the same.
func TestLieOnce(t *testing.T) {
	honest, other := endpoint(t), endpoint(t)
	var count atomic.Int64
	_, err := Run(context.Background(), Config{
		HyperKV: newLiar(t, other, func(command, reply []byte) []byte {
			if bytes.Contains(command, []byte("\r\nSET\r\n")) && string(reply) == "+OK\r\n" && count.Add(1) == 20 {
				return damaged(reply)
			}
			return reply
		}),
		Redis: honest, Seed: 7, Commands: 2000,
	})
	var d *Divergence
	if !errors.As(err, &d) || d.Reproducible {
		t.Fatalf("%v", err)
	}
	if len(d.replies) != 0 {
		t.Errorf("replies of a replay that agreed: %q", d.replies)
	}
	if !strings.Contains(d.Error(), "HYPERKV_FUZZ_SEED=") || !strings.Contains(d.Error(), "not reproducible") {
		t.Errorf("%v", d)
	}
}

// TestCrash: a server that ends is reported with the commands that led there.
func TestCrash(t *testing.T) {
	honest, victim := endpoint(t), testkit.StartRedis(t)
	_, err := Run(context.Background(), Config{
		HyperKV: newLiar(t, Endpoint{victim.Network, victim.Addr}, func(command, reply []byte) []byte {
			if bytes.Contains(command, []byte("\r\nGETDEL\r\n")) {
				victim.Stop()
			}
			return reply
		}),
		Redis: honest, Seed: 7, Commands: 2000,
	})
	var d *Divergence
	if !errors.As(err, &d) || d.Gone == nil || d.HyperKV != "(closed)" || len(d.Steps) == 0 {
		t.Fatalf("%v", err)
	}
}

// TestLostWrite: a server that acknowledges a write and forgets it is found by what
// it stores, even when nobody reads the key.
func TestLostWrite(t *testing.T) {
	honest, other := endpoint(t), endpoint(t)
	_, err := Run(context.Background(), Config{
		HyperKV: newLiar(t, other, func(_, reply []byte) []byte { return reply }), Redis: honest,
		Seed: 1, Commands: 10_000,
		Families: []Family{{"writes", []string{"SET key value", "SET key value KEEPTTL", "PERSIST key"}}},
	})
	if err != nil {
		t.Fatalf("an honest proxy was accused: %v", err)
	}
	_, err = Run(context.Background(), Config{
		HyperKV: newLosing(t, other), Redis: honest, Seed: 1, Commands: 10_000,
		Families: []Family{{"writes", []string{"SET key value", "SET key value KEEPTTL"}}},
	})
	var d *Divergence
	if !errors.As(err, &d) || d.Command != "(dataset)" || len(d.Steps) != 1 {
		t.Fatalf("%v", err)
	}
}

// TestHyperKV is the fuzzer at work. The environment changes what it does:
//
//	HYPERKV_FUZZ_TIME=10m             as long as wanted; a few seconds otherwise
//	HYPERKV_FUZZ_SEED=17              from this seed on; a new one otherwise
//	HYPERKV_FUZZ_FAMILIES=a,b         only these families
//	HYPERKV_FUZZ_FINDINGS=20          go on after a finding, without that command
//
// The time is shared by arrangements of shards; the name of the failing one is
// needed to reproduce.
func TestHyperKV(t *testing.T) {
	cfg := Config{Seed: uint64(time.Now().UnixNano()), Duration: 6 * time.Second, Redis: endpoint(t)}
	fromEnvironment(t, "SEED", func(text string) (err error) {
		cfg.Seed, err = strconv.ParseUint(text, 10, 64)
		return err
	})
	fromEnvironment(t, "TIME", func(text string) (err error) {
		cfg.Duration, err = time.ParseDuration(text)
		return err
	})
	fromEnvironment(t, "FINDINGS", func(text string) (err error) {
		cfg.Findings, err = strconv.Atoi(text)
		return err
	})
	fromEnvironment(t, "FAMILIES", func(text string) error {
		all := append(everything(), Waiting)
		for name := range strings.SplitSeq(text, ",") {
			at := slices.IndexFunc(all, func(f Family) bool { return f.Name == name })
			if at < 0 {
				return fmt.Errorf("no family %q", name)
			}
			cfg.Families = append(cfg.Families, all[at])
		}
		return nil
	})
	arrangements := []struct {
		name string
		opts testkit.ServerOptions
	}{
		{"1shard", testkit.ServerOptions{Shards: 1, Inline: true}},
		{"3shards", testkit.ServerOptions{Shards: 3, Inline: true}},
		{"7shards,noinline", testkit.ServerOptions{Shards: 7}},
	}
	cfg.Duration /= time.Duration(len(arrangements))
	for _, a := range arrangements {
		t.Run(a.name, func(t *testing.T) {
			cfg := cfg
			cfg.Logf = t.Logf
			s := testkit.StartBinary(t, "--worker-threads", strconv.Itoa(a.opts.Shards),
				"--shard-inline="+strconv.FormatBool(a.opts.Inline))
			cfg.HyperKV = Endpoint{s.Network, s.Addr}
			t.Logf("HYPERKV_FUZZ_SEED=%d", cfg.Seed)
			report, err := Run(context.Background(), cfg)
			t.Log(report)
			if !s.Running() {
				t.Errorf("the server has ended:\n%s", s.Log())
			}
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func fromEnvironment(t *testing.T, name string, set func(text string) error) {
	t.Helper()
	name = "HYPERKV_FUZZ_" + name
	if text := os.Getenv(name); text != "" {
		if err := set(text); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}
