package main

import (
	"github.com/spf13/cobra"

	"hyperkv/engine"
	"hyperkv/engine/embedded"
	serverfamily "hyperkv/engine/server"
)

// newDocsCommand prints what the documentation takes from the binary itself.
// docs/compatibility.md is not among it: it is made of the tests, by a test.
func newDocsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "docs", Short: "Print generated documentation", Hidden: true}
	commands := &cobra.Command{
		Use: "commands", Short: "Print docs/commands.md", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			table, err := engine.NewTable(embedded.Families()...)
			if err != nil {
				return err
			}
			return serverfamily.WriteReference(cmd.OutOrStdout(), table)
		},
	}
	cmd.AddCommand(commands)
	return cmd
}
