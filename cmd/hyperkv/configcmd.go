package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hyperkv/internal/config"
)

func newConfigCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Show the configuration in force, or all that can be configured"}

	var origins, all bool
	show := &cobra.Command{
		Use: "show", Short: "Print the configuration in force as YAML", Args: cobra.NoArgs,
		Long: "Prints the configuration that serve would start with, given the same file, environment and flags.",
	}
	serveFlags(show, func(cmd *cobra.Command, o config.Options) error {
		c, err := config.Load(o)
		if err != nil {
			return err
		}
		_, err = fmt.Fprint(cmd.OutOrStdout(), c.Show(origins, all))
		return err
	})
	show.Flags().BoolVar(&origins, "origin", false, "Say where each value came from.")
	show.Flags().BoolVar(&all, "all", false, "Include parameters of Redis that have no effect.")

	docs := &cobra.Command{
		Use: "docs", Short: "Print docs/configuration.md", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), config.Reference())
			return err
		},
	}
	cmd.AddCommand(show, docs)
	return cmd
}

// withoutSettings leaves the variables that are settings out of an environment.
func withoutSettings(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(variable string) bool {
		return strings.HasPrefix(variable, config.EnvPrefix)
	})
}
