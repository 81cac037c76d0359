package config

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Config is the configuration the server starts with. The fields are the
// settings that code reads by name; every other one is found with Text.
// Immutable once Load has returned it: what CONFIG SET changes lives in Params.
type Config struct {
	// File is the absolute path of the file it was read from, "" without one.
	File string
	// Warnings are remarks about settings that are accepted and have no effect.
	Warnings []string

	Host                    string
	Port                    int
	UnixSocket              string
	UnixSocketPerm          int
	TCPBacklog              int
	TCPKeepalive            time.Duration
	Timeout                 time.Duration
	MaxConnections          int
	ProtoMaxBulkLen         int64
	ClientQueryBufferLimit  int64
	ClientOutputBufferLimit OutputLimits

	AuthPassword           string
	EnableDebugCommand     string
	EnableProtectedConfigs string
	EnableModuleCommand    string

	NodeID            string
	ClusterName       string
	EnableClustering  bool
	EnableReplication bool
	ReplicationFactor int

	WorkerThreads int
	ShardInline   bool
	Databases     int

	MaxMemory            int64
	EvictionPolicy       string
	MemoryUsageThreshold float64
	EvictionBatchSize    int
	TTLCheckInterval     time.Duration
	MaxKeysPerTTLCheck   int

	StorageBackend   string
	DataDir          string
	AOFEnabled       bool
	AOFFsyncPolicy   string
	SnapshotEnabled  bool
	SnapshotInterval time.Duration

	EnableTLS bool
	TLSCert   string
	TLSKey    string
	TLSCA     string

	LogLevel  string
	LogFile   string
	LogFormat string
	PIDFile   string

	EnableMetrics   bool
	MetricsHost     string
	MetricsPort     int
	EnableProfiling bool

	SlowlogLogSlowerThan           time.Duration // negative: nothing is logged
	SlowlogMaxLen                  int64
	LatencyTracking                bool
	LatencyTrackingInfoPercentiles []float64
	LatencyMonitorThreshold        time.Duration
	BusyReplyThreshold             time.Duration
	ShutdownTimeout                time.Duration

	settings map[*Key]setting
	memory   func() (int64, error)
	lookup   func(string) (string, bool) // of ${VAR}
}

// setting is a value and where it came from.
type setting struct {
	value
	origin Origin
}

// Default is the configuration of a server that was told nothing.
func Default() *Config {
	c, err := FromMap(nil)
	if err != nil {
		panic(fmt.Sprintf("config: the defaults are wrong: %v", err))
	}
	return c
}

// FromMap makes a configuration of defaults and the given settings, without
// looking at files, environment or flags. It is meant for tests and for
// programs that embed the engine.
func FromMap(settings map[string]string) (*Config, error) {
	return Load(Options{Settings: settings})
}

// Text is the value of any setting as CONFIG GET shows it, "" for an unknown name.
func (c *Config) Text(name string) string {
	k := Lookup(name)
	if k == nil {
		return ""
	}
	return c.settings[k].text
}

// Origin says where the value of a setting came from.
func (c *Config) Origin(name string) Origin {
	k := Lookup(name)
	if k == nil {
		return Origin{}
	}
	return c.settings[k].origin
}

// Adjust replaces a value by one the system can bear, before the server starts.
// It is how a limit of the machine gets into the configuration.
func (c *Config) Adjust(name, text, why string) error {
	k := Lookup(name)
	if k == nil {
		return fmt.Errorf("there is no setting %q", name)
	}
	v, err := k.syntax.parse(input{text: text, old: c.settings[k].value, memory: c.memory})
	if err != nil {
		return fmt.Errorf("%s: %w", k.Name, err)
	}
	c.set(k, setting{v, Origin{Layer: LayerSystem, Where: why}})
	return nil
}

// set stores a parsed value and fills the field that code reads.
func (c *Config) set(k *Key, s setting) {
	c.settings[k] = s
	if k.field == nil {
		return
	}
	switch f := k.field(c).(type) {
	case *string:
		*f = s.text
	case *int:
		*f = int(s.num)
	case *int64:
		*f = s.num
	case *bool:
		*f = s.num != 0
	case *float64:
		*f = float64(s.num) / 1e6
	case *time.Duration:
		*f = k.syntax.(duration).span(s.num)
	case *OutputLimits:
		*f, _ = ParseOutputLimits(s.text, OutputLimits{})
	case *[]float64:
		*f = parsePercentiles(s.text)
	default:
		panic("config: no way to fill the field of " + k.Name)
	}
}

// ListenHosts are the addresses of host, ready for net.Listen: "" is every
// interface, and an address that Redis would try but not insist on ("-::1") is
// marked optional.
func (c *Config) ListenHosts() []ListenHost {
	var out []ListenHost
	for _, word := range strings.Fields(c.Host) {
		host, optional := strings.CutPrefix(word, "-")
		if host == "*" {
			host = ""
		}
		out = append(out, ListenHost{host, optional})
	}
	return out
}

// ListenHost is one address to listen on.
type ListenHost struct {
	Host     string
	Optional bool
}

// SlogLevel maps a log level, in our words or in Redis', to slog's scale.
func SlogLevel(level string) slog.Level {
	switch strings.ToLower(level) {
	case "debug":
		return slog.LevelDebug
	case "verbose":
		return slog.LevelDebug + 2
	case "warning", "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	case "nothing":
		return slog.LevelError + 100
	}
	return slog.LevelInfo
}
