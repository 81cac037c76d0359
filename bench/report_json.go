package bench

import (
	"encoding/json"
	"io"
)

// Report is the machine-readable form of plain runs.
type Report struct {
	Environment Environment `json:"environment"`
	Results     []Result    `json:"results"`
}

// WriteJSON writes any result of this package: a Report, a Comparison, or the
// results of a profile.
func WriteJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", " ")
	return encoder.Encode(value)
}
