package server_test

import (
	"strings"
	"testing"

	"hyperkv/engine"
	"hyperkv/engine/embedded"
	"hyperkv/engine/server"
)

// TestReference: the reference mentions every command, with its summary.
func TestReference(t *testing.T) {
	table, err := engine.NewTable(embedded.Families()...)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := server.WriteReference(&b, table); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, c := range table.All() {
		heading := "### " + strings.ToUpper(strings.ReplaceAll(c.FullName(), "|", " ")) + "\n"
		if !strings.Contains(text, heading) {
			t.Errorf("%s is not in the reference", c.FullName())
		}
		if c.Summary == "" || !strings.Contains(text, c.Summary) {
			t.Errorf("%s has no summary", c.FullName())
		}
	}
	for _, line := range []string{
		"`CONFIG SET parameter value [parameter value ...]`", "- since: 2.0.0", "- categories: @admin, @slow, @dangerous",
		"[`SLOWLOG`](#slowlog)",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("the reference lacks %q", line)
		}
	}
}
