package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"hyperkv/internal/config"
)

// target is the server that a health check asks.
type target struct {
	network, address string
	password         string
}

func newHealthCommand() *cobra.Command {
	var (
		host, socket, password string
		port                   int
		timeout                time.Duration
	)
	cmd := &cobra.Command{
		Use: "health", Short: "Ask a running server for PONG; the exit code tells", Args: cobra.NoArgs,
		Long: "Sends PING to the address that the configuration names and exits with 0 when PONG comes back in time.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.Load(configOptions(cmd.Flags(), false))
			if err != nil {
				return err
			}
			given := cmd.Flags().Changed
			if !given("port") {
				port = c.Port
			}
			if !given("host") {
				host = reachable(c)
			}
			if !given("password") {
				password = c.AuthPassword
			}
			t := target{"tcp", net.JoinHostPort(host, strconv.Itoa(port)), password}
			if given("unixsocket") || !given("port") && !given("host") && port == 0 {
				if !given("unixsocket") {
					socket = c.UnixSocket
				}
				t.network, t.address = "unix", socket
			}
			if t.address == "" {
				return errors.New("the configuration has neither a port nor a unixsocket to ask")
			}
			took, err := ping(cmd.Context(), t, timeout)
			if err != nil {
				return fmt.Errorf("%s: %w", t.address, err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: PONG in %s\n", t.address, took.Round(time.Microsecond))
			return err
		},
	}
	fs := cmd.Flags()
	fs.StringP("config", "c", "", "Configuration file. Default: what "+config.EnvFile+" names, or none.")
	fs.StringVar(&host, "host", "", "Address of the server.")
	fs.IntVarP(&port, "port", "p", 0, "Port of the server.")
	fs.StringVar(&socket, "unixsocket", "", "Unix socket of the server.")
	fs.StringVar(&password, "password", "", "Password of the default user.")
	fs.DurationVar(&timeout, "timeout", 2*time.Second, "How long to wait.")
	return cmd
}

// reachable is an address at which this machine reaches a server with the
// configuration.
func reachable(c *config.Config) string {
	for _, h := range c.ListenHosts() {
		switch h.Host {
		case "", "0.0.0.0":
			return "127.0.0.1"
		case "::", "::*":
			return "::1"
		}
		return h.Host
	}
	return "127.0.0.1"
}

// ping logs in when there is a password, and waits for PONG.
func ping(ctx context.Context, t target, timeout time.Duration) (time.Duration, error) {
	start := time.Now()
	r, err := dialRemote(ctx, t.network, t.address, t.password, start.Add(timeout))
	if err != nil {
		return 0, err
	}
	defer r.close()
	reply, err := r.ask("PING")
	if err != nil {
		return 0, err
	}
	if replyLine(reply) != "+PONG" {
		return 0, fmt.Errorf("PING was answered with %q", replyLine(reply))
	}
	return time.Since(start), nil
}
