package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hyperkv/internal/config"
)

func main() {
	root := newRootCommand()
	root.SetArgs(config.JoinSwitches(os.Args[1:]))
	if err := root.ExecuteContext(context.Background()); err != nil {
		report(os.Stderr, err)
		os.Exit(1)
	}
}

// untilInterrupted is a context that ends when somebody wants the command to end. stop has to
// be called.
func untilInterrupted(cmd *cobra.Command) (ctx context.Context, stop func()) {
	return signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
}

// report prints an error; a configuration with several mistakes gets a list.
func report(w io.Writer, err error) {
	var mistakes config.Mistakes
	if !errors.As(err, &mistakes) {
		fmt.Fprintf(w, "hyperkv: %v\n", err)
		return
	}
	noun := "mistakes"
	if len(mistakes) == 1 {
		noun = "mistake"
	}
	fmt.Fprintf(w, "hyperkv: %d %s in the configuration\n", len(mistakes), noun)
	for _, m := range mistakes {
		fmt.Fprintf(w, "  %s\n", m)
	}
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "hyperkv",
		Short: "A Redis-compatible key-value store that uses every core",
		Long: "HyperKV is a Redis-compatible key-value store that uses every core.\n\n" +
			"Without a command it serves; see \"hyperkv serve --help\" for all settings.",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	serveFlags(root, serve)
	root.SetFlagErrorFunc(explainFlag)
	root.SetUsageTemplate(usageTemplate)

	serving := &cobra.Command{Use: "serve", Short: "Run the server (the default)", Args: cobra.NoArgs}
	serveFlags(serving, serve)
	root.AddCommand(serving, newConfigCommand(), newCheckCommand(), newBackupCommand(), newRestoreCommand(), newHealthCommand(), newVersionCommand(), newBenchCommand())
	root.AddCommand(newImportCommand(), newExportCommand())
	root.AddCommand(newDocsCommand())
	return root
}

// serveFlags makes a command take every setting as a flag, and --config.
func serveFlags(cmd *cobra.Command, run func(cmd *cobra.Command, o config.Options) error) {
	fs := cmd.Flags()
	config.AddFlags(fs)
	fs.StringP("config", "c", "", "Configuration file. Default: what "+config.EnvFile+" names, or none.")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return run(cmd, configOptions(fs, true))
	}
}

// configOptions are the sources of the configuration of this process.
func configOptions(fs *pflag.FlagSet, withFlags bool) config.Options {
	o := config.Options{Environ: os.Environ(), File: os.Getenv(config.EnvFile)}
	if f := fs.Lookup("config"); f != nil && f.Changed {
		o.File = f.Value.String()
	}
	if withFlags {
		o.Flags = fs
	}
	return o
}

// explainFlag adds the nearest flag to the error about an unknown one.
func explainFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	near := config.Suggest(unknown.GetSpecifiedName())
	if near == "" || cmd.Flags().Lookup(strings.ReplaceAll(near, "_", "-")) == nil {
		return err
	}
	return fmt.Errorf("%w; did you mean --%s?", err, strings.ReplaceAll(near, "_", "-"))
}

// usageTemplate is cobra's without the flags of the root command, which are
// those of serve and would bury the commands.
const usageTemplate = `Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} [command]{{else}}{{.UseLine}}{{end}}
{{- if .HasExample}}

Examples:
{{.Example}}{{end}}
{{- if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if (or .IsAvailableCommand (eq .Name "help"))}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}
{{- if and .HasAvailableLocalFlags .HasParent}}

Flags:
{{.LocalFlags.FlagUsagesWrapped 110 | trimTrailingWhitespaces}}{{end}}
{{- if .HasAvailableSubCommands}}

Use "{{.CommandPath}} [command] --help" for more about a command.{{end}}
`
