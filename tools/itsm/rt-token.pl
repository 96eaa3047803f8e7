# Makes a token for each user named, and prints `name token`: no request of its interface makes one.
use strict;
use warnings;
use RT;
RT->LoadConfig;
RT->Init;
require RT::AuthToken;
for my $name (@ARGV) {
    my $user = RT::User->new(RT->SystemUser);
    $user->Load($name);
    my ($made, $message, $token) = RT::AuthToken->new(RT->SystemUser)->Create(Owner => $user->Id, Description => 'tests');
    die "no token for $name: $message\n" unless $made;
    print "$name $token\n";
}
