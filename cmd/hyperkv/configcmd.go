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

func newCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check FILE", Short: "Check a configuration file and list all its mistakes", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			// Only the file is looked at. ${VAR} in it still needs the environment,
			// HYPERKV_* in the environment does not matter.
			c, err := config.Load(config.Options{File: args[0], Environ: withoutSettings(configOptions(cmd.Flags(), false).Environ)})
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			for _, warning := range c.Warnings {
				fmt.Fprintf(out, "%s: note: %s\n", args[0], warning)
			}
			_, err = fmt.Fprintf(out, "%s: ok\n", args[0])
			return err
		},
	}
}

// withoutSettings leaves the variables that are settings out of an environment.
func withoutSettings(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(variable string) bool {
		return strings.HasPrefix(variable, config.EnvPrefix)
	})
}
