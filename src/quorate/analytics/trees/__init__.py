"""Decision trees and boosted trees on secret data."""
